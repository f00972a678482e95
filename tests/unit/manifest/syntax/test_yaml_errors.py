"""The most common errors of syntax in manifests: each has a message with the correct form."""

from pathlib import Path
from textwrap import dedent

import pytest

from mirrord.errors import ManifestError
from mirrord.manifest.manifest import Manifest
from mirrord.planning.items.expand import validate

ENTRY = "mirrors:\n  - url: https://example.org/a\n    to: s3://bucket/a\n"


def messages(text: str, **environ: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        Manifest.parse("m.yaml", dedent(text).encode(), environ)
    return [str(problem).removeprefix("m.yaml:") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mirrors:\n\t- url: x\n", "2:1: mirrors: not YAML: a tab in the indentation"),
        ("daemon:\n  transfers: 1\n\tlisten: none\n", "3:1: daemon.transfers: not YAML: a tab in the indentation"),
        ("folders:\n  - include: [*.csv]\n", "2:15: folders[0].include[0]: not YAML: a value that begins with * must"),
        ("folders:\n  - include: **/*.csv\n", "2:14: folders[0].include: not YAML: a value that begins with * must"),
        ("folders:\n  - include: [*csv]\n", "2:15: folders[0].include[0]: the alias *csv has no anchor before it; a v"),
        (
            "folders:\n  - exclude: [!*.log]\n",
            "2:15: folders[0].exclude[0]: not YAML: a value that begins with ! must",
        ),
        (ENTRY + "    cron: @daily\n", "4:11: mirrors[0].cron: not YAML: a value that begins with @ must be in quotes"),
        (ENTRY + "    name: `x`\n", "4:11: mirrors[0].name: not YAML: a value that begins with ` must be in quotes"),
        (ENTRY + "    name: %x\n", "4:11: mirrors[0].name: not YAML: a value that begins with % must be in quotes"),
        (ENTRY + "    name: 'x\n", "4:11: mirrors[0].name: not YAML: a quote opens here and is never closed"),
        (ENTRY + '    name: "x\n', "4:11: mirrors[0].name: not YAML: a quote opens here and is never closed"),
        (ENTRY + "    name: 'it's'\n", "4:15: mirrors[0]: not YAML: text after the end of a value; put the whole"),
        (ENTRY + "    name: 'x' y\n", "4:15: mirrors[0]: not YAML: text after the end of a value; put the whole"),
        (ENTRY + "    name: {date}/x\n", "4:17: mirrors[0]: not YAML: text after the end of a value"),
        (ENTRY + '    name: "C:\\x"\n', "4:16: mirrors[0].name: not YAML: a backslash in double quotes begins an"),
        (ENTRY + "    name: a: b\n", "4:12: mirrors[0]: not YAML: mapping values are not allowed here; put a value th"),
        (ENTRY + "   name: a\n", "4:4: mirrors[1]: not YAML: the indentation fits no line above"),
        ("daemon:\n    transfers: 1\n   listen: none\n", "3:4: not YAML: the indentation fits no line above"),
        (
            "folders:\n  - include: [a, b\n    path: x\n",
            "3:9: folders[0].include[2]: not YAML: the list that opens",
        ),
        (
            "daemon: {transfers: 1\nstores: {}\n",
            "2:7: daemon: not YAML: the mapping that opens in line 1 lacks",
        ),
        ("mirrors:\n- url\nx\n", '3:1: mirrors[1]: not YAML: a key without its ": "; write key: value'),
        ("mirrors:\n  - url:https://h/a\n    to: s3://bbb/a\n", "2:5: mirrors[0]: not YAML: a colon without a space"),
        ("version:1\nmirrors: []\n", "1:1: not YAML: a colon without a space behind it"),
        (ENTRY + '    name: "x\n' + ENTRY + '    name: "y"\n', "4:11: mirrors[0]: not YAML: a quote opens here and cl"),
        ('folders:\n  - include:\n    - "*.a\n    - "*.b"\n', "3:7: folders[0].include[0]: not YAML: a quote opens he"),
        ('mirrors:\n  - {url: "a, to: b}\n  - {url: "c"}\n', "2:11: mirrors[0]: not YAML: a quote opens here and clo"),
        ("folders:\n  - include: [a, ${X}]\n", "2:19: folders[0].include[1]: not YAML: inside [ ] or { } a value"),
        ("mirrors: [{url: ${X}}]\n", "1:18: mirrors[0]: not YAML: inside [ ] or { } a value with ${…} must be in quo"),
        ("mirrors: [a, , b]\n", '1:14: mirrors[1]: not YAML: a value is missing before ",", or must be in quotes'),
        ("mirrors: [\n", "2:1: mirrors[0]: not YAML: the file ends inside a list [ ] or a mapping { }; close it"),
    ],
)
def test_an_error_of_syntax_has_a_message_at_its_position(text: str, expected: str) -> None:
    assert [line for line in messages(text) if line.startswith(expected)], messages(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stores: {x: {provider: cloudflare}}", "did you mean r2?"),
        ("stores: {x: {provider: Digital Ocean}}", "did you mean digitalocean?"),
        ("stores: {x: {provider: S3}}", "did you mean aws?"),
        ("stores: {x: {provider: MinIO}}", "did you mean minio?"),
        ("stores: {x: {access_key: y}}", "stores.x.access_key: unknown field; did you mean credentials.access_key_id?"),
        (
            "stores: {x: {credentials: {secret: y}}}",
            "credentials.secret: unknown field; did you mean secret_access_",
        ),
        ("stores: {x: {endpoint: y}}", "stores.x.endpoint: unknown field; did you mean endpoint_url?"),
        ("mirrors: [{source: x, to: s3://bbb/x}]", "mirrors[0].source: unknown field; did you mean url?"),
        ("folders: [{source: x, to: s3://bbb/x/}]", "folders[0].source: unknown field; did you mean path?"),
        ("folders: [{path: x, dest: s3://bbb/x/}]", "folders[0].dest: unknown field; did you mean to?"),
        (ENTRY + "    metadata: {a: b}\n", "mirrors[0].metadata: unknown field; did you mean object.metadata?"),
        (ENTRY + "    Content-Type: a/b\n", "Content-Type: unknown field; did you mean object.content_type?"),
        (ENTRY + "    interval: 1h\n", "mirrors[0].interval: unknown field; did you mean every?"),
        ("daemon: {port: 1}", "daemon.port: unknown field; did you mean listen?"),
        (ENTRY + "    sse_kms_key_id: x\n", "did you mean object.encryption.kms_key_id?"),
        (ENTRY + "    object: {encryption: {mode: SSE-KMS}}\n", "did you mean aws:kms?"),
        (ENTRY + "    object: {encryption: {mode: SSEC}}\n", "did you mean SSE-C?"),
        (ENTRY + "    object: {object_lock: {mode: GOVERNANCE}}\n", "did you mean lock?"),
        (ENTRY + "    object: {legalhold: true}\n", "did you mean lock.legal_hold?"),
        ("stores: {x: {request-payer: requester}}", "did you mean requester_pays?"),
        ("stores: {x: {use-dualstack-endpoint: true}}", "did you mean dual_stack?"),
    ],
)
def test_words_of_other_tools_are_known(text: str, expected: str) -> None:
    assert [line for line in messages(text) if expected in line], messages(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ENTRY + "    object: {encryption: {mode: aws:kms:dsse}}\n", '"aws:kms:dsse" is not supported'),
        (ENTRY + "    object: {sse_customer_key: x}\n", "write encryption: {mode: SSE-C, customer_key: NAME}, and the"),
        ("stores: {x: {accelerate: true}}", "transfer acceleration is not supported (docs/s3-features.md)"),
    ],
)
def test_a_feature_of_s3_without_a_field_is_named(text: str, expected: str) -> None:
    assert [line for line in messages(text) if expected in line], messages(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("name: $DATE", "4:11: mirrors[0].name: a reference without braces; write ${DATE}, and $$ for a dollar sign"),
        ("name: a/$bucket/x", "4:11: mirrors[0].name: a reference without braces; write ${bucket}"),
        ("name: a$_x", "4:11: mirrors[0].name: a reference without braces; write ${_x}"),
        ("http: {bearer: pa$word}", "4:20: mirrors[0].http.bearer: a reference without braces; write ${NAME}"),
        ("http: {headers: {A: pa$word}}", "mirrors[0].http.headers.A: a reference without braces; write ${NAME}"),
        ("checksum: {url: 'https://u:pa$word@h/x'}", "mirrors[0].checksum.url: a reference without braces; write ${NA"),
    ],
)
def test_a_reference_without_braces_is_an_error_without_the_secret(line: str, expected: str) -> None:
    lines = messages(f"{ENTRY}    {line}\n", DATE="today")
    assert expected in lines[0]
    assert "word" not in lines[0]


@pytest.mark.parametrize(("text", "value"), [("cost$$x", "cost$x"), ("5$", "5$"), ("a$1", "a$1"), ("$(x)", "$(x)")])
def test_a_dollar_sign_without_a_name_is_a_dollar_sign(text: str, value: str) -> None:
    manifest = Manifest.parse("m.yaml", f"{ENTRY}    name: {text}\n".encode(), {})
    assert manifest.document.mirrors[0].name == value


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("expires: 2030-13-01", "is not a date; write it like"),
        ("expires: 2030-02-30T00:00:00Z", "is not a date; write it like"),
        ("expires: 2030-01-01T25:00:00Z", "is not a date; write it like"),
        ("expires: 0001-01-01T00:00:00+23:00", "is not a date; write it like"),
        ("metadata: {'a b': x}", "is not a metadata name"),
        ("metadata: {'ä': x}", "is not a metadata name"),
        ("metadata: {x-amz-meta-team: x}", "is not a metadata name"),
        ("metadata: {Mirrord-Transfer: x}", "is not a metadata name"),
        ("metadata: {'a!': x}", "is not a metadata name"),
        ("metadata: {Team: x, team: y}", "object.metadata.team: the same name as Team to S3, which ignores case"),
        (f"metadata: {{a: {'x' * 1600}}}", "object.metadata: more than S3 keeps"),
        ("tags: {'aws:x': y}", "is not a tag's name"),
        ("tags: {'': y}", "is not a tag's name"),
        (f"tags: {{{'k' * 129}: y}}", "is not a tag's name"),
        ("tags: {a: 'x;y'}", "is not a tag; up to 256"),
    ],
)
def test_values_that_no_store_accepts_are_found_offline(line: str, expected: str) -> None:
    assert any(expected in one for one in messages(f"{ENTRY}    object: {{{line}}}\n"))


@pytest.mark.parametrize("name", ["@daily", "@midnight", "@annually", "@hourly"])
def test_a_cron_nickname_in_quotes_is_valid(name: str) -> None:
    assert Manifest.parse("m.yaml", f"{ENTRY}    cron: '{name}'\n".encode(), {}).document.mirrors[0].cron == name


def test_metadata_may_hold_any_letters() -> None:
    manifest = Manifest.parse("m.yaml", f"{ENTRY}    object: {{metadata: {{team: Grüße 你好}}}}\n".encode(), {})
    assert manifest.document.mirrors[0].object.metadata == {"team": "Grüße 你好"}


def test_a_leading_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    text = """
    daemon: {state: sqlite:///~/state.db}
    stores: {default: {ca_file: ~/ca.pem}}
    folders:
      - {path: ~/inbox, to: s3://bbb/a/, after_upload: {move: ~/done}}
      - {path: "~", to: s3://bbb/home/}
    mirrors:
      - {url: "file://~/one.csv", to: s3://bbb/one.csv}
    """
    document = Manifest.parse("m.yaml", dedent(text).encode(), {}).document
    folder = document.folders[0]
    assert document.daemon is not None
    assert document.daemon.state == "sqlite:///home/ada/state.db"
    assert document.stores["default"].ca_file == "/home/ada/ca.pem"
    assert folder.path == "/home/ada/inbox"
    assert folder.after_upload is not None
    assert folder.after_upload.move == "/home/ada/done"
    assert document.folders[1].path == "/home/ada"
    assert document.mirrors[0].url == "file:///home/ada/one.csv"


# ── all in one pass ───────────────────────────────────────────────────────────────────────────────
def test_faults_of_all_kinds_are_reported_in_one_pass() -> None:
    text = """
    mirrors:
      - {url: https://h/a, to: s3://bbb/a, evry: 1h}
      - {url: https://h/b, every: 5}
      - {url: https://h/c, to: s3://bbb/c, object: {lock: {mode: GOVERNANCE}}}
      - {url: https://h/d, to: s3://bbb/d, every: 1h, cron: '0 3 * * *'}
      - {url: https://h/e, to: s3://bbb/e, http: {bearer: a, connections: 0}}
    """
    assert [line.partition(";")[0] for line in messages(text)] == [
        "3:40: mirrors[0].evry: unknown field",
        "4:5: mirrors[1].to: is missing",
        '4:31: mirrors[1].every: "5" is not a duration',
        "5:55: mirrors[2].object.lock.retain: is missing",
        "6:57: mirrors[3].cron: every is given too",
        '7:71: mirrors[4].http.connections: "0" is out of bounds',
    ]


def test_consequences_of_a_fault_are_not_reported() -> None:
    text = """
    mirrors:
      - {url: https://h/a, to: s3://bbb/a, checksum: {url: nothing}}
      - {url: 'https://h/{v}', to: 's3://bbb/{v}', matrix: {v: [1]}}
    """
    assert [line.partition(";")[0] for line in messages(text)] == [
        '3:56: mirrors[0].checksum.url: "nothing" is not an http:// or https:// URL',
        '4:61: mirrors[1].matrix.v[0]: "1" is no text',
    ]


def test_a_folder_without_its_dash() -> None:
    assert messages("folders:\n  path: /x\n  to: s3://bbb/a/\n") == [
        '2:3: folders: an entry begins with "- "; put it before this field'
    ]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("- url: https://h/a\n  to: s3://$B/a\n", ["3:7: mirrors[0].to: a reference without braces; write ${B}"]),
        ("- url: https://${H/a\n  to: s3://bbb/a\n", ["2:8: mirrors[0].url: a ${ without its }"]),
        ("- url: https://${H}/{v\n  to: s3://bbb/a\n", ["2:8: mirrors[0].url: the variable H is not set"]),
        ("- url: https://h/${a b}\n  to: s3://bbb/a\n", ["2:8: mirrors[0].url: not a reference"]),
        ("- url: https://h/$X\n  to: s3://$X/a\n", ["2:8: mirrors[0].url: a ref", "3:7: mirrors[0].to: a ref"]),
        ("- url: https://h/a\n  to: s3://bbb/a\n  name: $X\n", ["4:9: mirrors[0].name: a reference without braces"]),
        ("  url: https://h/a\n  to: s3://bbb/a\n", ['2:3: mirrors: an entry begins with "- "; put it before']),
        ("  to: s3://bbb/a\n  url: x\n", ['2:3: mirrors: an entry begins with "- "', "3:8: mirrors[0].url: "]),
        ("- url: !keep\n  to: s3://bbb/a\n", ["2:8: mirrors[0].url: the tag !keep has no meaning"]),
        ("- url: https://h/a\n  to: !x s3://B/a\n", ["3:7: mirrors[0].to: the tag !x has no meaning"]),
        ("  https://$H/{: s3://bbb/a\n", ["2:3: mirrors: a reference without braces; write ${H}"]),
        ("- url:\n  to: s3://bbb/a\n", ["2:7: mirrors[0].url: is missing"]),
        ("- url: ~\n  to: s3://bbb/a\n", ["2:8: mirrors[0].url: is missing"]),
        (
            "- url: ftp://h/a\n  to: s3://B/a\n",
            ["2:8: mirrors[0].url: ", "3:7: mirrors[0].to: the bucket's name needs"],
        ),
        (
            "- url: ftp://h/a\n  to: s3://bbb/a\n  store: nope\n  every: 5\n",
            [
                "2:8: mirrors[0].url: ",
                "4:10: mirrors[0].store: no store is called nope; declared are main",
                "5:10: mirrors[0].every: ",
            ],
        ),
    ],
)
def test_all_faults_of_an_entry_and_no_consequences(tmp_path: Path, entry: str, expected: list[str]) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(f"mirrors:\n{entry}stores: {{main: {{provider: aws}}}}\n")
    found = [str(one).removeprefix(f"{file}:") for one in validate([str(file)], {})]
    assert len(found) == len(expected), found
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True)), found
