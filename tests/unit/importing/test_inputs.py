"""Inputs are recognised by their content; remotes and stores of an rclone.conf; lists of sources."""

import pytest

from mirrord.importing.draft import imported
from mirrord.importing.inputs import InputText
from mirrord.importing.values import ImportRefused
from tests.support.importing import CONF, MACHINE, document, importing, reasons

SHA = "a" * 64
REFUSED = [
    (b"", "is empty"),
    (b" \n\t\n", "is empty"),
    (b"\xff\xfe\x00rclone", "is not UTF-8"),
    (b"rclone copy\0x", "is not text"),
    (b"# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nabc=\n", "is encrypted"),
    (b"[default]\naws_access_key_id = x\naws_secret_access_key = y\n", "AWS credentials"),
    (b"[Unit]\nDescription=x\n", "is no rclone.conf"),
    (b"hello world\n", "is no rclone.conf"),
    (b"TsvHttpData-1.0\nhttps://example.org/a\t1\n", "rename it"),
]


@pytest.mark.parametrize(("content", "why"), REFUSED)
def test_what_cannot_be_imported(content: bytes, why: str) -> None:
    with pytest.raises(ImportRefused, match=f"^x: .*{why}"):
        imported([InputText("x", content)], MACHINE)


def test_a_list_whose_name_gives_another_format() -> None:
    with pytest.raises(ImportRefused, match=r"urls.csv: is a SHA256SUMS; .*: rename it to …SHA256SUMS"):
        importing(f"{SHA}  a.iso\n", conf="", file="urls.csv")


def test_the_name_of_an_input_may_be_any_text() -> None:
    result = importing("rclone ls x:\naws s3 sync /srv/a s3://bkt\n", conf="", file="a\nmirrors: [\x1b")
    assert document(result)["folders"][0]["path"] == "/srv/a"


def test_a_list_on_standard_input_has_no_name() -> None:
    with pytest.raises(ImportRefused, match="save it"):
        imported([InputText("-", b"https://example.org/a\n")], MACHINE)


LISTS = [
    ("sts.tsv", "TsvHttpData-1.0\nhttps://example.org/a\t1\tXUFAKrxLKna5cZ2REBfFkg==\n", "s3://bkt/p/{host}{path}"),
    ("urls.txt", "# urls\nhttps://example.org/a\n", "s3://bkt/p/{host}{path}"),
    ("urls.csv", "url,key\nhttps://example.org/a,x\n", "s3://bkt/p/{host}{path}"),
    ("rows.jsonl", '{"url": "https://example.org/a", "size": 3}\n', "s3://bkt/p/{host}{path}"),
    ("SHA256SUMS", f"{SHA}  a.iso\n", "s3://bkt/p/"),
    ("PULP_MANIFEST", f"a.iso,{SHA},3\n", "s3://bkt/p/"),
]


@pytest.mark.parametrize(("file", "text", "to"), LISTS)
def test_a_list(file: str, text: str, to: str) -> None:
    result = importing(text, conf="", to="s3://bkt/p/", file=file)
    (mirror,) = document(result)["mirrors"]
    assert (mirror["list"], mirror["to"]) == (f"/work/here/{file}", to)
    without = importing(text, conf="", file=file)
    assert "${MIRRORD_IMPORT_BUCKET}" in without.text
    assert "--to s3://bucket/" in "\n".join(map(str, without.remarks))


def test_a_row_ends_at_a_line_feed_only() -> None:
    text = '{"url": "https://example.org/a", "key": "a\u2028b\x85c"}\r\n{"url": 7}\n'
    found = reasons(text, conf="", file="x.jsonl", to="s3://bkt/")
    assert [line for line in found.splitlines() if "bad row" in line] == [
        "x.jsonl:2: is a bad row: its url is not a string"
    ]


def test_bad_rows_of_a_list_are_named_without_their_values() -> None:
    text = "TsvHttpData-1.0\nhttps://example.org/a\tPLANTED\nhttps://example.org/b\t2\n"
    found = reasons(text, conf="", file="x.tsv", to="s3://bkt/")
    assert "x.tsv:2: is a bad row: its size is not a number of bytes" in found
    assert "PLANTED" not in found
    with pytest.raises(ImportRefused, match="another version"):
        importing("TsvHttpData-2.0\n", conf="", file="x.tsv")


def store(options: str) -> dict[str, object]:
    found = document(importing("rclone copy /srv/a r:bkt\n", conf=f"[r]\ntype = s3\n{options}"))
    return dict(found["stores"]["r"])


PROVIDERS = [
    ("provider = AWS\nenv_auth = true", {"provider": "aws"}),
    (
        "provider = AWS\nenv_auth = true\nregion = eu-west-1\nprofile = p",
        {"provider": "aws", "region": "eu-west-1", "credentials": {"profile": "p"}},
    ),
    (
        "provider = Cloudflare\nenv_auth = true\nendpoint = https://a.r2.cloudflarestorage.com",
        {"provider": "r2", "endpoint_url": "https://a.r2.cloudflarestorage.com"},
    ),
    (
        "provider = DigitalOcean\nenv_auth = true\nendpoint = fra1.digitaloceanspaces.com",
        {"provider": "digitalocean", "endpoint_url": "https://fra1.digitaloceanspaces.com"},
    ),
    (
        "provider = Wasabi\nenv_auth = true\nendpoint = s3.wasabisys.com",
        {"provider": "wasabi", "endpoint_url": "https://s3.wasabisys.com"},
    ),
    (
        "provider = Ceph\nenv_auth = true\nendpoint = http://rgw:7480\nforce_path_style = true",
        {"provider": "ceph", "endpoint_url": "http://rgw:7480", "addressing": "path"},
    ),
    (
        "provider = Other\nenv_auth = true\nendpoint = https://storage.yandexcloud.net",
        {"provider": "yandex", "endpoint_url": "https://storage.yandexcloud.net"},
    ),
    (
        "provider = IDrive\nenv_auth = true\nendpoint = s3.example.org",
        {"provider": "generic", "endpoint_url": "https://s3.example.org"},
    ),
    ("provider = Minio\nenv_auth = true", {"provider": "minio", "endpoint_url": "${RCLONE_CONFIG_R_ENDPOINT}"}),
    ("provider = AWS", {"provider": "aws", "credentials": {"anonymous": True}}),
    (
        "provider = AWS\nenv_auth = true\nrequester_pays = true\nuse_dual_stack = 1",
        {"provider": "aws", "requester_pays": True, "dual_stack": True},
    ),
    ("provider = AWS\nenv_auth = true\nrequester_pays = false\nuse_dual_stack = false", {"provider": "aws"}),
    (
        "provider = AWS\nenv_auth = true\nendpoint = s3.eu-west-1.amazonaws.com\nuse_dual_stack = true",
        {"provider": "aws", "endpoint_url": "https://s3.eu-west-1.amazonaws.com"},
    ),
]


@pytest.mark.parametrize(("options", "expected"), PROVIDERS, ids=[options for options, _ in PROVIDERS])
def test_the_store_of_a_remote(options: str, expected: dict[str, object]) -> None:
    assert store(options) == expected


@pytest.mark.parametrize("commands", ["rclone copy /srv/a r:bkt\n", None])
def test_dual_stack_that_cannot_be_carried_over_is_named(commands: str | None) -> None:
    """Also if the file of the remotes is imported alone."""
    conf = "[r]\ntype = s3\nprovider = Minio\nenv_auth = true\nendpoint = http://m:9000\nuse_dual_stack = true\n"
    result = (
        importing(commands, conf=conf) if commands else imported([InputText("rclone.conf", conf.encode())], MACHINE)
    )
    assert "dual_stack" not in document(result)["stores"]["r"]
    assert "# use_dual_stack is left out" in result.text


def test_flags_of_a_command_are_options_of_its_remote() -> None:
    result = importing("rclone copy /srv/a r:bkt --s3-requester-pays\n", conf="[r]\ntype = s3\nenv_auth = true\n")
    assert document(result)["stores"]["r"]["requester_pays"] is True
    assert "requester_pays" not in "\n".join(map(str, result.remarks))


def test_keys_become_the_variables_of_rclone() -> None:
    found = store("provider = AWS\naccess_key_id = A\nsecret_access_key = B\nsession_token = C\n")
    assert found["credentials"] == {
        "access_key_id": "${RCLONE_CONFIG_R_ACCESS_KEY_ID}",
        "secret_access_key": "${RCLONE_CONFIG_R_SECRET_ACCESS_KEY}",
        "session_token": "${RCLONE_CONFIG_R_SESSION_TOKEN}",
    }


def test_options_of_a_remote_apply_to_its_objects_and_unknown_ones_are_named() -> None:
    options = (
        "provider = AWS",
        "env_auth = true",
        "acl = private",
        "storage_class = X",
        "v2_auth = true",
        "role_arn = x",
    )
    conf = "\n".join(("[r]", "type = s3", *options))
    result = importing("rclone copy /srv/a r:bkt --s3-storage-class GLACIER_IR\n", conf=conf)
    assert document(result)["folders"][0]["object"] == {"acl": "private", "storage_class": "GLACIER_IR"}
    said = "\n".join(map(str, result.remarks))
    assert "the option role_arn of the remote is not carried over" in said
    assert "the option v2_auth of the remote is not carried over" in said


def test_an_rclone_conf_alone_becomes_stores() -> None:
    result = imported([InputText("rclone.conf", CONF.encode())], MACHINE)
    found = document(result)
    assert found["mirrors"] == []
    assert set(found["stores"]) == {"minio", "aws"}
    said = "\n".join(map(str, result.remarks))
    assert "rclone.conf:18: the remote is of the type crypt" in said
    assert "of the type drive" in said


def test_an_option_without_which_objects_are_stored_otherwise_is_named_also_without_commands() -> None:
    conf = "[sec]\ntype = s3\nprovider = Minio\nendpoint = https://minio.example\nsse_customer_key_base64 = KEY\n"
    said = "\n".join(map(str, imported([InputText("rclone.conf", conf.encode())], MACHINE).remarks))
    assert (
        "rclone.conf:1: the option sse_customer_key_base64 is not carried over: the remote encrypts with a key" in said
    )
    assert "KEY" not in said


def test_a_remote_without_use_is_named() -> None:
    said = reasons("rclone copy /srv/a minio:bkt\n")
    assert "rclone.conf:8: no command of the import uses this remote" in said
    assert "rclone.conf:1:" not in said


def test_remotes_of_the_environment() -> None:
    variables = "RCLONE_CONFIG_ENVY_TYPE=s3 RCLONE_CONFIG_ENVY_PROVIDER=Minio RCLONE_CONFIG_ENVY_ENDPOINT=http://m:9000"
    line = f"{variables} rclone copy /srv/a envy:bkt"
    assert document(importing(line))["stores"]["envy"]["endpoint_url"] == "http://m:9000"


def test_a_store_that_cannot_be_used_takes_its_entries_along() -> None:
    result = importing(
        "rclone copy /srv/a r:bkt\naws s3 sync /srv/b s3://other\n",
        conf="[r]\ntype = s3\nendpoint = http://u:PLANTED@h\n",
    )
    assert set(document(result)["stores"]) == {"aws"}
    said = "\n".join(map(str, result.remarks))
    assert "lines:1: not carried over: its store cannot be used: endpoint_url" in said.replace("stores.r.", "")
    assert "PLANTED" not in said + result.text
