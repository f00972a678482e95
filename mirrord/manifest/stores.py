"""From the `stores` of manifests to `declared.StoreOptions`, completed from the environment.

Owns the rule for an absent endpoint or credentials: `minio` reads MINIO_SERVER_URL, MINIO_ROOT_USER
and MINIO_ROOT_PASSWORD; every store reads AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL as botocore does, because the
endpoint is part of each item's identity; then the provider's documented address counts. All other credentials come from
the AWS chain.
"""

import os
from collections.abc import Mapping
from math import ceil

from mirrord.declared import BucketLock, BucketOptions, Credentials, RequestOptions, StoreOptions
from mirrord.manifest.schema import document
from mirrord.model import ChecksumKind, ConnectionOptions, ProviderName
from mirrord.providers import facts_of
from mirrord.providers.endpoints import ACCOUNT_VARIABLE, documented_endpoint, takes_account

DEFAULT = "default"
_DAY = 86_400.0
_WITHOUT_ENDPOINT = frozenset({ProviderName.AWS, ProviderName.EMBEDDED})


def store_options(name: str, store: document.StoreSection, directory: str, environ: Mapping[str, str]) -> StoreOptions:
    """One declared store. ValueError if its provider needs an endpoint, a region or an account and there is none, or if
    the endpoint of the environment has userinfo or excludes `dual_stack`."""
    endpoint, region = store.endpoint_url or _endpoint(store.provider, environ), store.region
    if endpoint is None and store.provider not in _WITHOUT_ENDPOINT:
        endpoint, region = _documented(store, environ)
    if endpoint is not None and store.dual_stack:
        raise ValueError("dual_stack: the environment gives an endpoint_url (AWS_ENDPOINT_URL_S3); remove one of them")
    if endpoint is not None and "@" in endpoint:
        raise ValueError("the endpoint's URL in the environment holds a user or password; put keys under credentials")
    return StoreOptions(
        name=name,
        provider=store.provider,
        endpoint_url=endpoint,
        region=region,
        requests=RequestOptions(
            addressing=store.addressing,
            wire=store.wire,
            payload_signing=store.payload_signing,
            requester_pays=store.requester_pays,
            dual_stack=store.dual_stack,
        ),
        credentials=_credentials(store, environ),
        connection=ConnectionOptions(
            ca_file=store.ca_file and os.path.join(directory, store.ca_file),
            client_cert=store.client_cert and os.path.join(directory, store.client_cert),
            tls_min=store.tls_min,
            proxy=store.proxy,
        ),
        checksum=None if store.checksum == "auto" else ChecksumKind(store.checksum),
        customer_keys=dict(store.customer_keys),
        buckets={bucket: _bucket(settings) for bucket, settings in store.buckets.items()},
    )


def without_address(name: str, store: document.StoreSection, directory: str, endpoint: str) -> StoreOptions:
    """A store for which `store_options` raised, with another `endpoint`, so that its entries can be validated."""
    other = store.model_copy(update={"dual_stack": False})
    return store_options(name, other, directory, {"AWS_ENDPOINT_URL": endpoint})


def ambient(environ: Mapping[str, str]) -> StoreOptions:
    """The store of manifests that declare no store: AWS with credentials from the environment."""
    return store_options(DEFAULT, document.StoreSection.model_construct(), "", environ)


def _endpoint(provider: ProviderName, environ: Mapping[str, str]) -> str | None:
    if provider is ProviderName.EMBEDDED:
        return None
    names = ["MINIO_SERVER_URL"] if provider is ProviderName.MINIO else []
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true":
        names += ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
    return next((environ[name] for name in names if environ.get(name)), None)


def _documented(store: document.StoreSection, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """The provider's documented address, and the region to sign for."""
    known = facts_of(store.provider)
    account = store.account_id or (environ.get(ACCOUNT_VARIABLE) if takes_account(known) else None)
    found = documented_endpoint(known, store.region, account)
    if found is None:
        also = " or set MINIO_SERVER_URL" if store.provider is ProviderName.MINIO else ""
        raise ValueError(f"endpoint_url is missing; provider {store.provider} has no common address, so give it{also}")
    return found


def _credentials(store: document.StoreSection, environ: Mapping[str, str]) -> Credentials | None:
    if store.credentials is not None:
        return Credentials(
            **{name: getattr(store.credentials, name) for name in document.CredentialsSection.model_fields}
        )
    user, password = environ.get("MINIO_ROOT_USER"), environ.get("MINIO_ROOT_PASSWORD")
    if store.provider is ProviderName.MINIO and user and password:
        return Credentials.of(user, password)
    return None


def _bucket(settings: document.BucketSection) -> BucketOptions:
    return BucketOptions(
        create=settings.create,
        versioning=settings.versioning,
        region=settings.region,
        lock=_lock(settings.lock) if settings.lock is not None else None,
    )


def _lock(settings: document.BucketLockSection) -> BucketLock:
    """S3 counts whole days: a part of one is one more."""
    if settings.retain is None:
        return BucketLock()
    return BucketLock(settings.mode, ceil(settings.retain / _DAY))
