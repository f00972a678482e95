"""All classes of manifest error in SPEC section 2, with the exact position and the message."""

from textwrap import dedent

import pytest

from mirrord.errors import ManifestError
from mirrord.manifest.manifest import Manifest

ENTRY = "mirrors:\n  - url: https://example.org/a\n    to: s3://bucket/a\n"
SECRET = "hunter2-hunter2"


def problems(text: str | bytes, **environ: str) -> list[str]:
    content = text if isinstance(text, bytes) else dedent(text).encode()
    with pytest.raises(ManifestError) as caught:
        Manifest.parse("m.yaml", content, environ)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # text where a number is asked, and the other way round
        ("daemon: {transfers: many}", 'm.yaml:1:21: daemon.transfers: "many" is not a whole number'),
        ('daemon: {transfers: "16"}', 'm.yaml:1:21: daemon.transfers: "16" is not a whole number'),
        ("daemon: {transfers: 1_000}", 'm.yaml:1:21: daemon.transfers: "1_000" is not a whole number'),
        ("daemon: {transfers: 014}", 'm.yaml:1:21: daemon.transfers: "014" is not a whole number'),
        ("daemon: {transfers: 0}", 'm.yaml:1:21: daemon.transfers: "0" is out of bounds; between 1 and 10,000'),
        ("daemon: {transfers: 1.5}", 'm.yaml:1:21: daemon.transfers: "1.5" is not a whole number'),
        ("daemon: {transfers: true}", 'm.yaml:1:21: daemon.transfers: "true" is not a whole number'),
        ("daemon: {transfers: }", "m.yaml:1:21: daemon.transfers: nothing is not a whole number"),
        ("daemon: {memory_limit: lots}", 'm.yaml:1:24: daemon.memory_limit: "lots" is not a size; write it like 64MiB'),
        ("daemon: {memory_limit: 1MiB}", 'm.yaml:1:24: daemon.memory_limit: "1MiB" is out of bounds'),
        ("daemon: {memory_limit: 64mb}", 'm.yaml:1:24: daemon.memory_limit: "64mb" is not a size'),
        (ENTRY + "    every: 60\n", 'm.yaml:4:12: mirrors[0].every: "60" is not a duration; write it like 90s, 6h'),
        (ENTRY + "    every: 12:30:45\n", 'm.yaml:4:12: mirrors[0].every: "12:30:45" is not a duration'),
        (ENTRY + "    http: {min_rate: 5MiB}\n", 'm.yaml:4:22: mirrors[0].http.min_rate: "5MiB" is not a rate'),
        (ENTRY + "    prune: {max: 150%}\n", 'm.yaml:4:18: mirrors[0].prune.max: "150%" is not a percentage'),
        (ENTRY + "    suspend: 'true'\n", 'm.yaml:4:14: mirrors[0].suspend: "true" is not a boolean'),
        (ENTRY + "    suspend: no\n", 'm.yaml:4:14: mirrors[0].suspend: "no" is not a boolean; write true or false'),
        # `no` where a string is asked
        (ENTRY + "    name: no\n", 'm.yaml:4:11: mirrors[0].name: "no" is a boolean to some and text to others'),
        (
            ENTRY + "    object: {metadata: {country: NO}}\n",
            'm.yaml:4:34: mirrors[0].object.metadata.country: "NO" is a',
        ),
        (ENTRY + "    name: 42\n", 'm.yaml:4:11: mirrors[0].name: "42" is no text; put it in quotes if it is a name'),
        (
            ENTRY + "    matrix: {v: [1.10]}\n",
            'm.yaml:4:18: mirrors[0].matrix.v[0]: "1.10" is no text; put it in quotes',
        ),
        (ENTRY + "    name: [a]\n", "m.yaml:4:11: mirrors[0].name: a list is not a name"),
        # shapes
        (ENTRY + "    http: 5\n", 'm.yaml:4:11: mirrors[0].http: a mapping is asked here, not "5"'),
        (ENTRY + "    matrix: {v: x}\n", 'm.yaml:4:17: mirrors[0].matrix.v: a list is asked here, not "x"'),
        ("mirrors: [5]", 'm.yaml:1:11: mirrors[0]: a mapping is asked here, not "5"'),
        ("mirrors: text", 'm.yaml:1:10: mirrors: a list is asked here, not "text"'),
        ("- a\n- b\n", "m.yaml:1:1: a manifest is a mapping"),
        ("just text", "m.yaml:1:1: a manifest is a mapping"),
        # duplicate keys
        ("mirrors: []\nstores: {}\nmirrors: []\n", "m.yaml:3:1: mirrors: given twice in one mapping; first in line 1"),
        (
            "mirrors:\n  https://a/x: s3://bbb/x\n  https://a/x: s3://bbb/y\n",
            "m.yaml:3:3: mirrors[https://a/x]: given twice",
        ),
        # unknown fields
        ("mirors: []", "m.yaml:1:1: mirors: unknown field; did you mean mirrors?"),
        (ENTRY + "    evry: 1h\n", "m.yaml:4:5: mirrors[0].evry: unknown field; did you mean every?"),
        (
            ENTRY + "    http: {header: {}}\n",
            "m.yaml:4:12: mirrors[0].http.header: unknown field; did you mean headers?",
        ),
        (
            "stores: {x: {endpont_url: y}}",
            "m.yaml:1:14: stores.x.endpont_url: unknown field; did you mean endpoint_url?",
        ),
        (
            "mirrors:\n  https://a/x: {too: s3://bbb/x}\n",
            "m.yaml:2:17: mirrors[https://a/x].too: unknown field; did you mean to",
        ),
        (ENTRY + "    expect: {zzz: 1}\n", "m.yaml:4:14: mirrors[0].expect.zzz: unknown field; known are content_type"),
        # alias bombs, nesting, second document, what is no YAML
        ("a: &a [x, x]\nb: *c\n", "m.yaml:2:4: b: the alias *c has no anchor before it"),
        ("a: &a [*a]\n", "m.yaml:1:8: a[0]: the alias *a contains itself"),
        ("mirrors: []\n---\nmirrors: []\n", "m.yaml:2:1: a second document"),
        ("mirrors: [\n", "m.yaml:2:1: mirrors[0]: not YAML:"),
        ("mirrors: [}\n", "m.yaml:1:11: mirrors[0]: not YAML:"),
        ("a: b: c\n", "m.yaml:1:5: not YAML: mapping values are not allowed"),
        ("mirrors:\n\t- x\n", "m.yaml:2:1: mirrors: not YAML:"),
        ("? [a]\n: b\n", "m.yaml:1:3: a key must be one plain word or text"),
        (
            "version: !!python/name:os.system 1\n",
            "m.yaml:1:10: version: the tag tag:yaml.org,2002:python/name:os.system",
        ),
        ("", "m.yaml:1:1: the file is empty"),
        ("# only a comment\n", "m.yaml:1:1: the file is empty"),
        ("---\n", "m.yaml:1:1: the file is empty"),
        # unset variables, references that are none
        (
            ENTRY + "    name: ${NOWHERE}\n",
            "m.yaml:4:11: mirrors[0].name: the variable NOWHERE is not set; set it, or write",
        ),
        (ENTRY + "    name: a${1X}\n", "m.yaml:4:11: mirrors[0].name: not a reference; write ${VAR}"),
        (ENTRY + "    name: a${X\n", "m.yaml:4:11: mirrors[0].name: a ${ without its }"),
        (
            ENTRY + "    name: ${file:/no/such}\n",
            "m.yaml:4:11: mirrors[0].name: the file /no/such cannot be read: No such",
        ),
        (
            "folders: [{path: x, to: s3://bbb/, ready: '*'}]",
            'm.yaml:1:43: folders[0].ready: "*" is not a marker; write',
        ),
        ("folders: [{path: x, to: s3://bbb/, ready: '*.*'}]", 'm.yaml:1:43: folders[0].ready: "*.*" is not a marker'),
        ("folders: [{path: x, to: s3://bbb/, ready: a/b}]", 'm.yaml:1:43: folders[0].ready: "a/b" is not a marker'),
        ("folders: [{path: x, to: s3://bbb/, ready: '..'}]", 'm.yaml:1:43: folders[0].ready: ".." is not a marker'),
        # words
        ("stores: {x: {provider: mino}}", 'm.yaml:1:24: stores.x.provider: "mino" is not one of aws, minio'),
        (
            ENTRY + "    drift: repairs\n",
            'm.yaml:4:12: mirrors[0].drift: "repairs" is not one of repair, report, ignore; did',
        ),
        ("daemon: {log: {level: loud}}", 'm.yaml:1:23: daemon.log.level: "loud" is not one of debug, info, warning'),
        ("version: 2", 'm.yaml:1:10: version: "2" is out of bounds; between 1 and 1'),
        # addresses
        (
            "mirrors: [{url: ftp://a/x, to: s3://bbb/x}]",
            'm.yaml:1:17: mirrors[0].url: "ftp://a/x" is not a source; write',
        ),
        (
            "mirrors: [{url: /srv/x, to: s3://bbb/x}]",
            'm.yaml:1:17: mirrors[0].url: "/srv/x" is not a source; write http',
        ),
        ("mirrors: [{url: 'https:///x', to: s3://bbb/x}]", 'm.yaml:1:17: mirrors[0].url: "https:///x" is not a source'),
        (
            "mirrors: {https://a/x: bbb/x}",
            'm.yaml:1:24: mirrors[https://a/x].to: "bbb/x" is not a destination; write s3',
        ),
        ("mirrors: {https://a/x: }", "m.yaml:1:11: mirrors[https://a/x].to: is missing"),
        ("stores: {x: {buckets: {AB: {}}}}", 'm.yaml:1:24: stores.x.buckets.AB: "AB" is not a bucket\'s name; 3 to 63'),
        (
            "stores: {x: {endpoint_url: 'host:9000'}}",
            'm.yaml:1:28: stores.x.endpoint_url: "host:9000" is not an http://',
        ),
        ("daemon: {state: /var/x.db}", 'm.yaml:1:17: daemon.state: "/var/x.db" is not a state address; write sqlite:'),
        (ENTRY + "    cron: 0 24 * * *\n", 'm.yaml:4:11: mirrors[0].cron: "0 24 * * *" is not a cron line; write five'),
        (ENTRY + "    cron: 0 0 30 2 *\n", 'm.yaml:4:11: mirrors[0].cron: "0 0 30 2 *" is not a cron line; write five'),
        (
            ENTRY + "    cron: 0 3 * * *\n    timezone: Europe/Atlantis\n",
            'm.yaml:5:15: mirrors[0].timezone: "Europe/Atlantis" is not a time zone; '
            "write it like Europe/Berlin or UTC",
        ),
        (ENTRY + "    cron: daily\n", 'm.yaml:4:11: mirrors[0].cron: "daily" is not a cron line; write five fields'),
        (
            ENTRY + "    checksum: md5:abc\n",
            'm.yaml:4:15: mirrors[0].checksum: "md5:abc" is not a digest; write sha256:',
        ),
        (ENTRY + "    checksum: {digest: x}\n", "m.yaml:4:15: mirrors[0].checksum: a checksum is sha256: and 64 hex"),
        (
            ENTRY + "    object: {metadata: {mirrord-transfer: x}}\n",
            "m.yaml:4:25: mirrors[0].object.metadata.mirrord-tran",
        ),
        (
            "folders: [{path: /a, to: s3://bbb/, exclude: ['!']}]",
            'm.yaml:1:47: folders[0].exclude[0]: "!" is not a gitign',
        ),
        # what is missing, what excludes what
        ("mirrors: [{url: https://a/x}]", "m.yaml:1:11: mirrors[0].to: is missing"),
        ("mirrors:\n  - to: s3://bbb/x\n", "m.yaml:2:5: mirrors[0].url: is missing"),
        ("folders: [{to: s3://bbb/x}]", "m.yaml:1:11: folders[0].path: is missing"),
        (
            ENTRY + "    urls: [https://a/b]\n",
            "m.yaml:4:11: mirrors[0].urls: url is given too; keep one of url, urls, list",
        ),
        ("mirrors: [{urls: [], to: s3://bbb/x}]", "m.yaml:1:18: mirrors[0].urls: at least one is needed"),
        (
            "mirrors: [{urls: [https://a/b, s3://bbb/y], to: s3://bbb/x}]",
            'm.yaml:1:32: mirrors[0].urls[1]: "s3://bbb/y" is not an http:// or https:// URL',
        ),
        (
            f"mirrors: [{{urls: [{', '.join(f'https://a/{number}' for number in range(17))}], to: s3://bbb/x}}]",
            "m.yaml:1:18: mirrors[0].urls: at most 16",
        ),
        (
            ENTRY + "    every: 1h\n    cron: 0 3 * * *\n",
            "m.yaml:5:11: mirrors[0].cron: every is given too; keep one of",
        ),
        (ENTRY + "    timezone: UTC\n", "m.yaml:4:15: mirrors[0].timezone: only beside cron"),
        (ENTRY + "    include: ['*.csv']\n", "m.yaml:4:14: mirrors[0].include: only for a folder, or for all objects"),
        (ENTRY + "    from_store: x\n", "m.yaml:4:17: mirrors[0].from_store: only for an s3:// source"),
        (
            ENTRY + "    http: {bearer: x, basic: {username: a, password: b}}\n",
            "m.yaml:4:30: mirrors[0].http.basic: bearer is",
        ),
        (ENTRY + "    matrix: {host: [a]}\n", "m.yaml:4:20: mirrors[0].matrix.host: host is a placeholder already"),
        (
            "mirrors: {https://a/x: {to: s3://bbb/x, url: y}}",
            "m.yaml:1:41: mirrors[https://a/x].url: the source is this",
        ),
        (
            "stores: {x: {credentials: {}}}",
            "m.yaml:1:27: stores.x.credentials: give access_key_id and secret_access_key",
        ),
        (
            "stores: {x: {credentials: {access_key_id: a}}}",
            "m.yaml:1:27: stores.x.credentials.secret_access_key: is missi",
        ),
        (
            "stores: {x: {credentials: {profile: a, anonymous: true}}}",
            "m.yaml:1:51: stores.x.credentials.anonymous: prof",
        ),
        (
            "stores: {x: {provider: embedded, region: a, ca_file: b}}",
            "m.yaml:1:54: stores.x.ca_file: an embedded store",
        ),
        ("defaults: {url: https://a/x}", "m.yaml:1:17: defaults.url: belongs to one entry; set it there"),
        (
            "daemon: {per_host: {requests_per_second: 0}}",
            'm.yaml:1:42: daemon.per_host.requests_per_second: "0" is not a positive number',
        ),
        ("daemon: {state: 'mysql://h/d'}", 'm.yaml:1:17: daemon.state: "mysql://h/d" is not a state address; write'),
    ],
)
def test_each_class_of_error_has_its_position_and_message(text: str, expected: str) -> None:
    assert [message for message in problems(text) if message.startswith(expected)], problems(text)


def test_bytes_that_are_not_utf8_are_reported_by_line_and_column() -> None:
    assert problems(b"mirrors: []\nname: \xff\n") == ["m.yaml:2:7: not UTF-8 text; save it as UTF-8"]


def test_control_characters_are_named_by_line_and_column() -> None:
    assert problems(b"mirrors: []\nx: a\x07\n") == ["m.yaml:2:5: the character U+0007 is not allowed in YAML"]


def test_all_problems_are_reported_in_one_pass_and_in_order() -> None:
    found = problems("""\
        daemon: {transfers: x, listn: y}
        stores:
          a: {provider: aws, provider: aws, credentials: {profile: p, anonymous: true}}
        mirrors:
          - to: s3://bbb/x
            every: soon
          - url: ${UNSET_ONE}
            to: s3://bbb/y
            colour: red
        """)
    assert [line.split(": ")[0] for line in found] == [
        "m.yaml:1:21",
        "m.yaml:1:24",
        "m.yaml:3:22",
        "m.yaml:3:74",
        "m.yaml:5:5",
        "m.yaml:6:12",
        "m.yaml:7:10",
        "m.yaml:9:5",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "daemon: {transfers: '${SECRET}'}",
        "daemon: {api_token: '${SECRET} '}",
        "stores: {x: {provider: '${SECRET}'}}",
        "stores: {x: {endpoint_url: '${SECRET}'}}",
        "stores: {x: {credentials: {access_key_id: 5, secret_access_key: 'hunter2-hunter2 '}}}",
        "mirrors: [{url: 'https://u:hunter2-hunter2@h/x?sig=hunter2-hunter2 ', to: s3://bbb/x}]",
        "mirrors: [{url: 'https://h/x', to: '${SECRET}'}]",
        "mirrors: {'https://u:hunter2-hunter2@h/x?sig=hunter2-hunter2': {too: x}}",
        "mirrors: {'${SECRET}': {too: x}}",
        "mirrors: [{url: 'https://h/x', to: 's3://bbb/x', http: {headers: {A: 'hunter2-hunter2\\u0001'}}}]",
        "'${SECRET}': 1",
    ],
)
def test_no_secret_is_in_an_error(line: str) -> None:
    if "\\u0001" in line:
        line = line.replace("'hunter2-hunter2\\u0001'", '"hunter2-hunter2\\u0001"')
    found = "\n".join(problems(line + "\n", SECRET=SECRET))
    assert SECRET not in found
