"""Command lines of rclone, aws and s5cmd as people write them: the entry that each becomes, or the reason."""

from dataclasses import replace
from typing import Any

import pytest

from mirrord.importing.draft import imported
from mirrord.importing.inputs import InputText
from mirrord.manifest.manifest import Manifest
from tests.support.importing import CONF, MACHINE, document, entry, importing, reasons, said

FOLDERS: list[tuple[str, dict[str, Any]]] = [
    ("rclone copy /srv/in minio:bkt/p", {"path": "/srv/in", "to": "s3://bkt/p/"}),
    ("rclone sync /srv/in/ minio:bkt", {"path": "/srv/in", "to": "s3://bkt/", "delete": "mirror"}),
    (
        "/usr/bin/rclone copy -vP --transfers=4 '/srv/my dir' deep:",
        {"path": "/srv/my dir", "to": "s3://backups/host1/"},
    ),
    ("rclone copy /srv/in deep:sub//x/", {"path": "/srv/in", "to": "s3://backups/host1/sub/x/"}),
    ("rclone move /srv/out minio:bkt/o", {"path": "/srv/out", "to": "s3://bkt/o/", "after_upload": "delete"}),
    ("rclone copy ~/docs minio:bkt/d --copy-links", {"path": "~/docs", "to": "s3://bkt/d/", "follow_symlinks": True}),
    ("rclone copy $HOME/docs minio:bkt/d", {"path": "~/docs", "to": "s3://bkt/d/"}),
    (
        "RCLONE_EXCLUDE=*.tmp2 rclone copy /srv/in minio:bkt --delete-empty-src-dirs",
        {"path": "/srv/in", "to": "s3://bkt/", "exclude": ["*.tmp2"]},
    ),
    (
        "rclone copy /srv/in \":s3,provider=Minio,env_auth=true,endpoint='http://m:9000':bkt/p\"",
        {"path": "/srv/in", "to": "s3://bkt/p/"},
    ),
    ("rclone copy data minio:bkt/d", {"path": "/work/here/data", "to": "s3://bkt/d/"}),
    ("cd /srv && rclone copy data minio:bkt/d", {"path": "/srv/data", "to": "s3://bkt/d/"}),
    ("rclone copy /srv/www.example.org minio:bkt/w", {"path": "/srv/www.example.org", "to": "s3://bkt/w/"}),
    ("rclone copy /srv/in :s3,provider=AWS,env_auth=true:bkt/p", {"path": "/srv/in", "to": "s3://bkt/p/"}),
    ("rclone copy /srv/{x} minio:bkt/{y}", {"path": "/srv/{x}", "to": "s3://bkt/{{y}}/"}),
    ("rclone copy '/srv/a$b' 'minio:bkt/$c'", {"path": "/srv/a$$b", "to": "s3://bkt/$$c/"}),
    ("rclone copy $SRC minio:$BUCKET/x", {"path": "${SRC}", "to": "s3://${BUCKET}/x/"}),
    (
        "rclone copy /srv/in minio:bkt --ignore-existing --s3-acl private --header-upload 'Cache-Control: no-cache'",
        {
            "path": "/srv/in",
            "to": "s3://bkt/",
            "overwrite": "never",
            "object": {"acl": "private", "cache_control": "no-cache"},
        },
    ),
    ("aws s3 sync /srv/in s3://bkt/p", {"path": "/srv/in", "to": "s3://bkt/p/"}),
    ("aws s3 sync . s3://bkt/p --delete", {"path": "/work/here", "to": "s3://bkt/p/", "delete": "mirror"}),
    ("aws --quiet s3 cp /srv/in s3://bkt/p/ --recursive", {"path": "/srv/in", "to": "s3://bkt/p/"}),
    (
        "aws s3 sync /srv/in s3://bkt --exclude '*' --include '*.csv' --storage-class STANDARD_IA --sse aws:kms",
        {
            "path": "/srv/in",
            "to": "s3://bkt/",
            "include": ["*.csv"],
            "object": {"storage_class": "STANDARD_IA", "encryption": {"mode": "aws:kms"}},
        },
    ),
    ("s5cmd cp /srv/in/ s3://bkt/p/", {"path": "/srv/in", "to": "s3://bkt/p/"}),
    ("s5cmd cp /srv/in s3://bkt/p/", {"path": "/srv/in", "to": "s3://bkt/p/in/"}),
    ("s5cmd cp '/srv/in/*.jpg' s3://bkt/p/", {"path": "/srv/in", "to": "s3://bkt/p/", "include": ["/*.jpg"]}),
    ("s5cmd cp '/srv/in/*' s3://bkt/p/", {"path": "/srv/in", "to": "s3://bkt/p/"}),
    ("s5cmd sync --delete /srv/in/ s3://bkt/", {"path": "/srv/in", "to": "s3://bkt/", "delete": "mirror"}),
    (
        "sync -n --exclude '*.log' /srv/in/ s3://bkt/",
        {"path": "/srv/in", "to": "s3://bkt/", "exclude": ["*.log"], "overwrite": "never"},
    ),
]


@pytest.mark.parametrize(("line", "expected"), FOLDERS, ids=[line for line, _ in FOLDERS])
def test_a_folder(line: str, expected: dict[str, Any]) -> None:
    assert entry(line) == expected


MIRRORS: list[tuple[str, dict[str, Any]]] = [
    (
        "rclone copyurl https://example.org/a/x.bin minio:bkt/x.bin",
        {"url": "https://example.org/a/x.bin", "to": "s3://bkt/x.bin"},
    ),
    (
        "rclone copyurl -a https://example.org/a/x.bin minio:bkt/dir",
        {"url": "https://example.org/a/x.bin", "to": "s3://bkt/dir/"},
    ),
    ("rclone copyurl --urls list.csv minio:bkt/dir", {"list": "/work/here/list.csv", "to": "s3://bkt/dir/"}),
    ("rclone copy /srv/one.csv minio:bkt/dir", {"url": "file:///srv/one.csv", "to": "s3://bkt/dir/one.csv"}),
    ("rclone copyto /srv/noext minio:bkt/key", {"url": "file:///srv/noext", "to": "s3://bkt/key"}),
    ("rclone copyto ~/report.pdf minio:bkt/r.pdf", {"url": "file://~/report.pdf", "to": "s3://bkt/r.pdf"}),
    (
        "rclone copyto site:data/f.bin minio:bkt/f.bin",
        {"url": "https://files.example.org/pub/data/f.bin", "to": "s3://bkt/f.bin"},
    ),
    ("aws s3 cp local.bin s3://bkt", {"url": "file:///work/here/local.bin", "to": "s3://bkt/local.bin"}),
    (
        "aws s3 cp /srv/a.gz s3://bkt/dir/ --acl public-read",
        {"url": "file:///srv/a.gz", "to": "s3://bkt/dir/a.gz", "object": {"acl": "public-read"}},
    ),
    ("aws s3 cp /srv/a.gz s3://bkt/dir", {"url": "file:///srv/a.gz", "to": "s3://bkt/dir"}),
    (
        "aws s3 cp /srv/a.gz s3://bkt/a --metadata team=data,x=1 --content-type text/csv --cache-control max-age=60",
        {
            "url": "file:///srv/a.gz",
            "to": "s3://bkt/a",
            "object": {
                "metadata": {"team": "data", "x": "1"},
                "content_type": "text/csv",
                "cache_control": "max-age=60",
            },
        },
    ),
    (
        "s5cmd cp -acl private /srv/one.csv s3://bkt/x/",
        {"url": "file:///srv/one.csv", "to": "s3://bkt/x/one.csv", "object": {"acl": "private"}},
    ),
    (
        "aws s3 cp s3://src-bkt/a/x.bin s3://bkt/y/",
        {"url": "s3://src-bkt/a/x.bin", "to": "s3://bkt/y/x.bin", "from_store": "aws"},
    ),
    (
        "rclone copyto minio:src-bkt/x.bin aws:bkt/x.bin",
        {"url": "s3://src-bkt/x.bin", "to": "s3://bkt/x.bin", "from_store": "minio"},
    ),
    ("curl -fsSL https://example.org/f | aws s3 cp - s3://bkt/f", {"url": "https://example.org/f", "to": "s3://bkt/f"}),
    ("wget -qO- https://example.org/f | rclone rcat minio:bkt/f", {"url": "https://example.org/f", "to": "s3://bkt/f"}),
    (
        "curl -s 'https://example.org/f?x=1' | s5cmd pipe s3://bkt/f",
        {"url": "https://example.org/f?x=1", "to": "s3://bkt/f"},
    ),
    (
        "rclone copyurl https://u:PLANTED@example.org/a?sig=PLANTED minio:bkt/a --header 'X-Api-Key: PLANTED'",
        {
            "url": "https://example.org/a?sig=${EXAMPLE_ORG_SIG}",
            "to": "s3://bkt/a",
            "http": {
                "headers": {"X-Api-Key": "${EXAMPLE_ORG_X_API_KEY}"},
                "basic": {"username": "${EXAMPLE_ORG_USER}", "password": "${EXAMPLE_ORG_PASSWORD}"},
            },
        },
    ),
    (
        'curl -H "Authorization: Bearer $TOKEN" https://example.org/f | aws s3 cp - s3://bkt/f',
        {"url": "https://example.org/f", "to": "s3://bkt/f", "http": {"headers": {"Authorization": "Bearer ${TOKEN}"}}},
    ),
]


@pytest.mark.parametrize(("line", "expected"), MIRRORS, ids=[line for line, _ in MIRRORS])
def test_a_mirror(line: str, expected: dict[str, Any]) -> None:
    assert entry(line) == expected


REFUSED = [
    ("rclone bisync /srv/a minio:bkt", "copies in both directions"),
    ("rclone copy /srv/a encrypted:x", "of the type crypt: it encrypts"),
    ("rclone copy drive:docs minio:bkt", "of the type drive: mirrord reads http and S3"),
    ("rclone copy /srv/a drive:docs", "of the type drive"),
    ("rclone copy /srv/a unknown:b", "in no rclone.conf of the import"),
    ("rclone copy /srv/a round:b", "its alias leads to itself"),
    ("rclone copy minio:bkt/x /srv/down", "writes to S3 only"),
    ("rclone copy site:dir/ minio:bkt", "a listing of a web server"),
    ("rclone copy /srv/*.csv minio:bkt", "is a shell pattern"),
    ("rclone copy /srv/$(date +%F) minio:bkt", "a shell computes a part of it"),
    ("rclone copyurl ftp://example.org/a minio:bkt/a", "no http or https URL"),
    ("rclone copyurl https://example.org/a minio:bkt/", "--auto-filename is missing"),
    ("rclone copyurl https://example.org/a minio:bkt/a --stdout", "writes to standard output"),
    ("rclone ls minio:", "no copy"),
    ("rclone moveto /srv/one.csv minio:bkt/one", "it moves one source"),
    ("rclone copy /srv/a minio:", "names no bucket"),
    ("rclone copy /srv/a minio:My_Bucket/x", "the bucket's name needs"),
    ("pg_dump db | aws s3 cp - s3://bkt/db.sql", "reads its standard input"),
    ("aws s3 cp - s3://bkt/x < /tmp/f", "reads its standard input"),
    ("find /srv -exec aws s3 cp {} s3://bkt/ \\;", "another program runs rclone, aws or s5cmd"),
    ("curl --data x https://example.org | aws s3 cp - s3://bkt/x", "more than one request"),
    ("aws s3 sync s3://bkt/x ./down", "it downloads"),
    ("aws s3 sync /srv/in $DEST", "a variable that the input does not set"),
    ("aws s3 rm s3://bkt/x", "no such command"),
    ("aws s3 cp /srv/one.csv s3://bkt/x --content-type $(file x)", "a shell computes a part of it"),
    ("aws ec2 describe-instances", "no such command"),
    ("s5cmd rm s3://bkt/x", "no such command"),
    ("s5cmd run cmds.txt", "import that file too"),
    ("s5cmd cp s3://bkt/x .", "it downloads"),
    ("s5cmd cp /srv/a.csv /srv/b.csv s3://bkt/", "not one source and one target"),
    ("for f in a b; do rclone copy /srv/$f minio:bkt/$f; done", "a shell computes"),
    ("rclone copy '/srv/a minio:bkt", "a quote is not closed"),
    ("rclone copy /srv/x/../y minio:bkt/../z", "the key has a segment .."),
    ("/usr/local/bin/backup.sh | rclone rcat minio:bkt/x", "reads its standard input"),
]


@pytest.mark.parametrize(("line", "reason"), REFUSED, ids=[line for line, _ in REFUSED])
def test_what_cannot_be_carried_over_is_named_with_its_line_and_reason(line: str, reason: str) -> None:
    result = importing(f"# the next line\n{line}\n")
    found = document(result)
    assert not found.get("folders")
    assert found["mirrors"] == []
    assert any(str(remark).startswith("lines:2: ") and reason in str(remark) for remark in result.remarks), reasons(
        line
    )
    assert reason.split()[0] in result.text


HELD = [
    ("rclone copy /srv/a minio:bkt --max-age 24h", "--max-age selects files by age"),
    ("rclone copy /srv/a minio:bkt --exclude-from=/etc/x", "--exclude-from reads its patterns from a file"),
    ("rclone sync /srv/a minio:bkt --backup-dir minio:old", "--backup-dir keeps or reads other objects"),
    ("rclone sync /srv/a minio:bkt --dry-run", "--dry-run copies nothing"),
    ("rclone copy /srv/a minio:bkt --filter '+ *.csv' --filter '- tmp/**'", "depend on their order"),
    ("rclone copy /srv/a minio:bkt --include '*.csv' --exclude 'tmp/**'", "depend on their order"),
    ("rclone copy /srv/a minio:bkt --brand-new", "the flag --brand-new is not known"),
    (
        "rclone copy /srv/a minio:bkt --s3-sse-customer-key PLANTED",
        "sse_customer_key of the remote encrypts with a key",
    ),
    ("rclone copy minio:src-bkt/p/ minio:bkt --s3-version-at 1d", "version_at of the remote copies old versions"),
    ("aws s3 sync /srv/a s3://bkt --exclude '*.log' --include 'keep.log'", "depend on their order"),
    ("aws s3 sync /srv/a s3://bkt --exclude 'a?.log'", "a form that gitignore patterns do not have"),
    ("aws s3 sync /srv/a s3://bkt --dryrun", "--dryrun copies nothing"),
    ("s5cmd --dry-run cp /srv/a/ s3://bkt/", "--dry-run copies nothing"),
    ("s5cmd cp --flatten /srv/a/ s3://bkt/", "--flatten drops directories"),
]


@pytest.mark.parametrize(("line", "reason"), HELD, ids=[line for line, _ in HELD])
def test_a_flag_that_would_change_what_is_copied_suspends_the_entry(line: str, reason: str) -> None:
    assert entry(line)["suspend"] is True
    assert reason in reasons(line)


def test_flags_without_an_effect_are_named_in_a_comment_only() -> None:
    result = importing("rclone copy /srv/a minio:bkt -v --fast-list --checkers 32 --log-file /x\n")
    assert "# not needed: --verbose, --fast-list, --checkers, --log-file" in result.text
    assert said(result) == []


def test_limits_of_commands_become_those_of_the_daemon() -> None:
    result = importing("rclone copy /srv/a minio:a1b --transfers 4\nrclone copy /srv/b minio:b1c --transfers 32\n")
    assert document(result)["daemon"] == {"transfers": 32}
    limited = importing("rclone copy /srv/a minio:a1b --bwlimit 10M\n")
    assert document(limited)["daemon"] == {"bandwidth": "10MiB/s"}


@pytest.mark.parametrize("zone", ["Europe/Berlin", None])
def test_windows_of_bandwidth_are_in_the_local_time_of_the_machine(zone: str | None) -> None:
    line = 'rclone copy /srv/a minio:a1b --bwlimit "08:00,512k 12:30,1.5M 23:00,off"\n'
    inputs = [InputText("rclone.conf", CONF.encode()), InputText("lines", line.encode())]
    result = imported(inputs, replace(MACHINE, timezone=zone))
    windows = {"08:00-12:30": "512KiB/s", "12:30-23:00": "1.5MiB/s", "default": "unlimited"}
    assert document(result)["daemon"] == {"bandwidth": windows | ({"timezone": zone} if zone else {})}
    assert [one for one in said(result) if "see --timezone" in one] == said(result)
    assert len(said(result)) == (0 if zone else 1)
    Manifest.parse("m.yaml", result.text.encode(), {}, allow_unset=True)


def test_other_credentials_are_another_store() -> None:
    lines = [
        f"aws s3 sync /srv/{number} s3://bkt/{number} --profile {name}\n" for number, name in enumerate(("a", "b", "a"))
    ]
    stores = document(importing("".join(lines)))["stores"]
    assert [store["credentials"] for store in stores.values()] == [{"profile": "a"}, {"profile": "b"}]


def test_two_commands_for_one_object_are_one_entry_and_a_remark() -> None:
    result = importing("aws s3 cp /srv/a.gz s3://bbb/x\naws s3 cp /srv/b.gz s3://bbb/x\n")
    assert len(document(result)["mirrors"]) == 1
    assert "lines:2: not carried over: another entry has its object already" in "\n".join(map(str, result.remarks))
    twice = document(importing("rclone copy /srv/a minio:bbb/1\nrclone copy /srv/a minio:bbb/2\n"))["folders"]
    assert [one.get("name") for one in twice] == [None, "/srv/a (2)"]


def test_two_copies_to_one_prefix_have_their_own_names() -> None:
    lines = "rclone copy minio:src-a/p aws:bkt/p\naws s3 sync s3://src-b/p s3://bkt/p\n"
    mirrors = document(importing(lines))["mirrors"]
    assert [(one["url"], one.get("name")) for one in mirrors] == [
        ("s3://src-a/p/", None),
        ("s3://src-b/p/", "s3://bkt/p/ (2)"),
    ]


def test_different_secrets_of_one_host_are_different_variables() -> None:
    lines = [f"rclone copyurl https://u:{word}@example.org/{at} minio:bkt/{at}\n" for at, word in enumerate("aba")]
    mirrors = document(importing("".join(lines)))["mirrors"]
    assert [one["http"]["basic"]["password"] for one in mirrors] == [
        "${EXAMPLE_ORG_PASSWORD}",
        "${EXAMPLE_ORG_PASSWORD_2}",
        "${EXAMPLE_ORG_PASSWORD}",
    ]
    assert {one["http"]["basic"]["username"] for one in mirrors} == {"${EXAMPLE_ORG_USER}"}
    twice = entry("rclone copyurl 'https://example.org/a?key=x&key=y' minio:bkt/a --header 'X-Auth: z'")
    assert twice["url"] == "https://example.org/a?key=${EXAMPLE_ORG_KEY}&key=${EXAMPLE_ORG_KEY_2}"
    assert twice["http"]["headers"] == {"X-Auth": "${EXAMPLE_ORG_X_AUTH}"}


SCRIPTS = [
    ("B=bkt\nDEST=s3://$B/x\nB=other\naws s3 sync /srv/in $DEST", "s3://bkt/x/"),
    ('B=bkt; DEST="minio:$B/x"; rclone copy /srv/in "$DEST"', "s3://bkt/x/"),
    ("export DEST=s3://$HOSTNAME-b/x\ns5cmd sync /srv/in/ $DEST/", "s3://${HOSTNAME}-b/x/"),
]


@pytest.mark.parametrize(("lines", "to"), SCRIPTS, ids=[lines for lines, _ in SCRIPTS])
def test_a_variable_made_of_others_is_replaced(lines: str, to: str) -> None:
    assert entry(f"{lines}\n")["to"] == to


def test_folders_that_cannot_be_declared_together_are_named() -> None:
    """As `mirrord validate` says later."""
    machine = replace(MACHINE, overlap=lambda one, other: "PLANTED matches both" if other.path in one.path else None)
    lines = b"aws s3 sync /srv s3://bkt/a\naws s3 mv /srv/out s3://bkt/b --recursive\n"
    result = imported([InputText("lines", lines)], machine)
    assert [one["path"] for one in document(result)["folders"]] == ["/srv"]
    assert "lines:2: not carried over: its folder and that of another entry overlap" in "\n".join(said(result))
    assert "PLANTED" not in result.text


def test_headers_of_requests_to_stores_are_named() -> None:
    assert "--header is not carried over: its source is no URL" in reasons(
        "rclone copy /srv minio:bkt --header 'A: PL'"
    )
    urls = reasons("rclone copyurl --urls list.csv minio:bkt/dir --header 'A: PL'")
    assert "--header is not carried over: write http.headers" in urls


def test_headers_of_a_remote_for_the_web_are_sent() -> None:
    conf = f'{CONF}[w]\ntype = http\nurl = https://example.org/\nheaders = X-Team,data,"Cookie","a=PLANTED"\nodd = 1\n'
    result = importing("rclone copyto w:a.bin minio:bkt/a.bin\n", conf=conf)
    headers = document(result)["mirrors"][0]["http"]["headers"]
    assert headers == {"X-Team": "${EXAMPLE_ORG_X_TEAM}", "Cookie": "${EXAMPLE_ORG_COOKIE}"}
    assert "the option odd of the remote is not carried over" in "\n".join(said(result))
    assert "PLANTED" not in result.text


@pytest.mark.parametrize("tool", ["aws s3", "s5cmd"])
def test_the_region_of_a_source_is_not_needed(tool: str) -> None:
    result = importing(f"{tool} cp --source-region us-west-2 s3://src-bkt/a/x.bin s3://bkt/y/\n")
    assert "not needed: --source-region" in result.text
