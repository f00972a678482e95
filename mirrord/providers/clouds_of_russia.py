"""The facts of cloud services in Russia: Yandex, Selectel, VK Cloud and Cloud.ru."""

from mirrord.model import ProviderName
from mirrord.providers.facts import KEPT, PATH_AND_HOST, FactName, sheet
from mirrord.units import GiB, MiB, TiB

_YANDEX = "https://yandex.cloud/en/docs/storage/s3/"
_YANDEX_LIMITS = "https://yandex.cloud/en/docs/storage/concepts/limits"
_YANDEX_CLASSES = "https://yandex.cloud/en/docs/storage/concepts/storage-class"
_YANDEX_ACL = "https://yandex.cloud/en/docs/storage/concepts/acl"
_YANDEX_TAGS = "https://yandex.cloud/en/docs/storage/concepts/tags"
_YANDEX_VERSIONS = "https://yandex.cloud/en/docs/storage/concepts/versioning"
_YANDEX_PUT = "https://yandex.cloud/en/docs/storage/s3/api-ref/object/upload"
_YANDEX_KEYS = "https://yandex.cloud/en/docs/storage/concepts/object"
_SELECTEL = "https://docs.selectel.ru/en/api/urls/"
_SELECTEL_LIMITS = "https://docs.selectel.ru/en/s3/about/limitations/"
_SELECTEL_CONDITIONS = "https://docs.selectel.ru/en/s3/objects/conditional-requests/"
_VK = "https://cloud.vk.com/docs/en/storage/s3/concepts/s3-api"
_VK_LIMITS = "https://cloud.vk.com/docs/storage/s3/concepts/features"
_VK_RATE = "https://cloud.vk.com/docs/storage/s3/concepts/quotasandlimits"
_VK_PUT = "https://cloud.vk.com/docs/storage/s3/api/object"
_VK_VERSIONS = "https://cloud.vk.com/docs/storage/s3/concepts/versioning"
_VK_TAGS = "https://cloud.vk.com/docs/storage/s3/api/tagging"
_CLOUDRU = "https://cloud.ru/docs/s3e/ug/index"
_CLOUDRU_LIMITS = "https://cloud.ru/docs/s3e/ug/topics/overview__limitations"
_CLOUDRU_TERMS = "https://cloud.ru/docs/s3e/ug/topics/concepts.html"

YANDEX = sheet(
    ProviderName.YANDEX,
    "Yandex Object Storage",
    (
        _YANDEX,
        {
            FactName.ENDPOINT: "https://storage.yandexcloud.net",
            FactName.DEFAULT_REGION: "ru-central1",
            FactName.ADDRESSING: PATH_AND_HOST,
        },
    ),
    (
        _YANDEX_LIMITS,
        {
            FactName.MIN_PART: 5 * MiB,
            FactName.MAX_PARTS: 10_000,
            FactName.MAX_PUT: 5 * GiB,
            FactName.MAX_OBJECT: 5 * TiB,
        },
    ),
    (_YANDEX_PUT, {FactName.CONDITIONAL_PUTS: True, FactName.ETAG: "MD5 of the bytes; of an upload in parts no MD5"}),
    (_YANDEX_KEYS, {FactName.KEYS: 'with one of : * ? " < > | !'}),
    (_YANDEX_CLASSES, {FactName.STORAGE_CLASSES: ("STANDARD", "COLD", "STANDARD_IA", "NEARLINE", "ICE", "GLACIER")}),
    (_YANDEX_ACL, {FactName.ACL: KEPT}),
    (_YANDEX_TAGS, {FactName.TAGS: KEPT}),
    (_YANDEX_VERSIONS, {FactName.VERSIONING: True}),
)
SELECTEL = sheet(
    ProviderName.SELECTEL,
    "Selectel S3",
    (
        _SELECTEL,
        {
            FactName.ENDPOINT: "https://s3.{region}.storage.selcloud.ru",
            FactName.DEFAULT_REGION: "ru-1",
        },
    ),
    (
        _SELECTEL_LIMITS,
        {
            FactName.ADDRESSING: "path; host name for at most 100 buckets of a project",
            FactName.RATE: "2,000 requests a second and bucket, of them 300 PUT and 200 POST; more are 429",
        },
    ),
    (
        _SELECTEL_CONDITIONS,
        {
            FactName.CONDITIONAL_PUTS: True,
            FactName.CONDITIONAL_COMPLETES: True,
            FactName.CONDITIONAL_DELETES: True,
        },
    ),
)
VK = sheet(
    ProviderName.VK,
    "VK Cloud Object Storage",
    (
        _VK,
        {
            FactName.ENDPOINT: "https://hb.{region}.vkcloud-storage.ru",
            FactName.REGIONS: ("ru-msk", "kz-ast"),
            FactName.DEFAULT_REGION: "ru-msk",
            FactName.ACL: KEPT,
        },
    ),
    (
        _VK_LIMITS,
        {
            FactName.MAX_PART: 32 * 10**9,
            FactName.MAX_PARTS: 10_000,
            FactName.MAX_OBJECT: 320 * 10**12,
        },
    ),
    (_VK_RATE, {FactName.RATE: "1,000 requests a second, and 250 listings"}),
    (_VK_PUT, {FactName.ETAG: "MD5 of the bytes; of an upload in parts no MD5"}),
    (_VK_VERSIONS, {FactName.VERSIONING: True}),
    (_VK_TAGS, {FactName.TAGS: KEPT}),
)
CLOUDRU = sheet(
    ProviderName.CLOUDRU,
    "Cloud.ru Evolution Object Storage",
    (_CLOUDRU, {FactName.ENDPOINT: "https://s3.cloud.ru", FactName.DEFAULT_REGION: "ru-central-1"}),
    (
        _CLOUDRU_LIMITS,
        {
            FactName.MIN_PART: 5 * MiB,
            FactName.MAX_PARTS: 10_000,
            FactName.MAX_PUT: 5 * GiB,
            FactName.MAX_OBJECT: 5 * TiB,
            FactName.RATE: "1,000 writes, 1,000 reads and 1,000 listings a second and tenant",
        },
    ),
    (_CLOUDRU_TERMS, {FactName.KEYS: 'with one of : * ? " < > | !', FactName.TAGS: KEPT, FactName.VERSIONING: True}),
)
