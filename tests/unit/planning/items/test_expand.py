"""From manifests to items: matrix, placeholders, keys, names, collisions, options, folders."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from time import process_time

import pytest

from mirrord.declared import FolderSpec
from mirrord.errors import KeyRefused
from mirrord.manifest.manifest import load_all
from mirrord.model import Drift, File, Item, Options, Overwrite, ProviderName, Secret, Url, revealed
from mirrord.planning.items.bind import has_date, item_of
from mirrord.planning.items.expand import Expansion, expand, validate

Expand = Callable[..., Expansion]


@pytest.fixture
def expanded(tmp_path: Path) -> Expand:
    def write(*texts: str, **environ: str) -> Expansion:
        files = [tmp_path / f"{number}.yaml" for number in range(1, len(texts) + 1)]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        loaded = load_all(map(str, files), environ)
        assert loaded.problems == ()
        return expand(loaded)

    return write


def mirror(url: str, to: str, rest: str = "") -> str:
    return f"mirrors:\n- url: {url}\n  to: {to}\n{rest}"


def objects(expansion: Expansion) -> dict[str, str]:
    return {item.origin.address: str(item.destination) for item in expansion.items}


def short(expansion: Expansion) -> list[str]:
    return [f"{Path(one.file).name}:{one.line}:{one.column}: {one.path}: {one.message}" for one in expansion.problems]


@pytest.mark.parametrize(
    ("url", "to", "key"),
    [
        ("https://h/geo/city.mmdb", "s3://bbb/geo/city.mmdb", "geo/city.mmdb"),
        ("https://h/geo/city.mmdb", "s3://bbb/geo/", "geo/city.mmdb"),
        ("https://h/geo/city.mmdb", "s3://bbb/", "city.mmdb"),
        ("https://h/geo/city.mmdb?v=1#x", "s3://bbb/", "city.mmdb"),
        ("https://H.Example:8443/a/b", "s3://bbb/{host}{path}", "h.example/a/b"),
        ("https://h/a/b", "s3://bbb{path}", "a/b"),
        ("https://h/a/b", "s3://bbb/{name}.copy", "b.copy"),
        ("https://h/a%20b/%C3%A4.txt", "s3://bbb{path}", "a b/ä.txt"),
        ("https://h/a%2Fb", "s3://bbb/x/", "x/a%2Fb"),
        ("https://h/%FF", "s3://bbb/x/", "x/%FF"),
        ("https://h/x", "s3://bbb/{{literal}}", "{literal}"),
        ("file:///srv/a b/c%20d?e", "s3://bbb/", "c%20d?e"),
        ("https://h/a\\b", "s3://bbb/", "a\\b"),
    ],
)
def test_the_destination_of_an_object(expanded: Expand, url: str, to: str, key: str) -> None:
    (item,) = expanded(mirror(f"'{url}'", f"'{to}'")).items
    assert (item.origin.address, item.destination.bucket, item.destination.key) == (url, "bbb", key)
    assert item.id == item.destination.item_id


def test_urls_are_one_item_named_by_the_primary(expanded: Expand) -> None:
    urls = "['https://a/{v}/data.bin?x=1', 'https://b/mirror/{v}']"
    (item,) = expanded(f"mirrors: [{{urls: {urls}, to: 's3://bbb/{{host}}/{{v}}/', matrix: {{v: ['7']}}}}]").items
    assert item.urls == (Url("https://a/7/data.bin?x=1"), Url("https://b/mirror/7"))
    assert (item.origin, item.destination.key) == (item.urls[0], "a/7/data.bin")
    assert [one.origin for one in item.alternatives] == [*item.urls]
    assert item.shown_source == "https://a/7/data.bin?…"


def test_one_url_has_no_fallback(expanded: Expand) -> None:
    (item,) = expanded("mirrors: [{urls: [https://a/x], to: s3://bbb/}]").items
    assert (item.origin, item.urls, item.alternatives) == (Url("https://a/x"), (), (item,))


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        ("[https://a/x, https://b/x, https://a/x]", "1.yaml:1:18: mirrors[0].urls: the same URL twice"),
        ("['https://a/{w}']", "1.yaml:1:18: mirrors[0].urls: unknown placeholder"),
        ("[https://a/x, 'https://h:99999/x']", "1.yaml:1:18: mirrors[0].urls: this is no URL"),
    ],
)
def test_urls_that_are_wrong_together(expanded: Expand, urls: str, message: str) -> None:
    (problem,) = short(expanded(f"mirrors: [{{urls: {urls}, to: s3://bbb/x}}]"))
    assert problem.startswith(message)


@pytest.mark.parametrize(
    ("url", "to", "expected"),
    [
        ("https://h", "s3://bbb/x/", "1.yaml:3:7: mirrors[0].to: ends with / but the URL has no last path segment"),
        ("https://h/a/", "s3://bbb/x/", "1.yaml:3:7: mirrors[0].to: ends with / but the URL has no last path segment"),
        ("https://h/a", "s3://bbb", "1.yaml:3:7: mirrors[0].to: the key is empty"),
        ("https://h/a", "s3://bbb/../x", "1.yaml:3:7: mirrors[0].to: the key has a segment .."),
        ("https://h/a", "s3://bbb/./x", "1.yaml:3:7: mirrors[0].to: the key has a segment ."),
        ("https://h/a/%2e%2e/b", "s3://bbb/x{path}", "1.yaml:3:7: mirrors[0].to: the key has a segment .."),
        ("https://h/..", "s3://bbb/x/", "1.yaml:3:7: mirrors[0].to: the key has a segment .."),
        ("https://h/a", "s3://bbb//x", "1.yaml:3:7: mirrors[0].to: the key begins with a slash"),
        (
            "https://h/a",
            "s3://bbb/{path}",
            "1.yaml:3:7: mirrors[0].to: the key begins with a slash; {path} begins with",
        ),
        ("https://h/a//b", "s3://bbb{path}", "1.yaml:3:7: mirrors[0].to: the key has an empty segment"),
        ("https://h/a%00b", "s3://bbb/", "1.yaml:3:7: mirrors[0].to: the key holds a NUL"),
        ("https://h/a", "s3://bbb/" + "x" * 1025, "1.yaml:3:7: mirrors[0].to: the key has 1,025 bytes, S3 takes 1,024"),
        ("https://h/a", "s3://bbb/" + "ä" * 513, "1.yaml:3:7: mirrors[0].to: the key has 1,026 bytes, S3 takes 1,024"),
        ("https://h/a", "s3://BB/x", "1.yaml:3:7: mirrors[0].to: the bucket's name needs 3 to 63"),
        ("https://h/a", "s3://b--use1-az4--x-s3/x", "1.yaml:3:7: mirrors[0].to: directory buckets (…--x-s3) are not"),
        (
            "https://h/a",
            "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/a/x",
            "1.yaml:3:7: mirrors[0].to: ARNs are not supported",
        ),
        ("https://h/a", "s3://192.168.0.1/x", "1.yaml:3:7: mirrors[0].to: the bucket's name needs 3 to 63"),
        ("https://h/a", "s3://bbb/{verson}", "1.yaml:3:7: mirrors[0].to: unknown placeholder; known: host, path, name"),
        ("https://h/a", "s3://bbb/{nam}", "1.yaml:3:7: mirrors[0].to: unknown placeholder; did you mean name?"),
        ("https://h/a", "s3://bbb/{", "1.yaml:3:7: mirrors[0].to: a { that belongs to no placeholder; double it"),
        ("https://h/a", "s3://bbb/x}", "1.yaml:3:7: mirrors[0].to: a } that belongs to no placeholder; double it"),
        ("https://h/a", "s3://bbb/{name:%Y}", "1.yaml:3:7: mirrors[0].to: the placeholder name takes no format"),
        ("https://h/{version}", "s3://bbb/x", "1.yaml:2:8: mirrors[0].url: unknown placeholder; double the braces"),
        ("https://h:99999/a", "s3://bbb/x", "1.yaml:2:8: mirrors[0].url: this is no URL; check its host and port"),
        ("https://[h/a", "s3://bbb/x", "1.yaml:2:8: mirrors[0].url: this is no URL; check its host and port"),
        ("https://h:secret/a", "s3://bbb/x", "1.yaml:2:8: mirrors[0].url: this is no URL; check its host and port"),
        ("https://:80/a", "s3://bbb/x", "1.yaml:2:8: mirrors[0].url: this is no URL; check its host and port"),
        ("file:///srv/a", "s3://bbb/{host}/x", "1.yaml:3:7: mirrors[0].to: the source has no host for a placeholder"),
    ],
)
def test_an_invalid_object_is_a_problem_at_its_field(expanded: Expand, url: str, to: str, expected: str) -> None:
    expansion = expanded(mirror(f"'{url}'", f"'{to}'"))
    (problem,) = short(expansion)
    assert problem.startswith(expected)
    assert expansion.items == ()


def test_a_key_of_1024_bytes_is_valid(expanded: Expand) -> None:
    assert len(expanded(mirror("https://h/a", "s3://bbb/" + "x" * 1024)).items) == 1


def test_a_matrix_makes_every_combination(expanded: Expand) -> None:
    expansion = expanded(
        mirror(
            "https://h/{os}/a-{version}.tar.gz",
            "s3://bbb/releases/{version}/",
            "  matrix: {version: ['1.0', '1.1'], os: [linux]}\n",
        )
    )
    assert objects(expansion) == {
        "https://h/linux/a-1.0.tar.gz": "s3://bbb/releases/1.0/a-1.0.tar.gz",
        "https://h/linux/a-1.1.tar.gz": "s3://bbb/releases/1.1/a-1.1.tar.gz",
    }
    assert {item.entry for item in expansion.items} == {"s3://bbb/releases/{version}/a-{version}.tar.gz"}
    assert expansion.items[0].options is expansion.items[1].options


def test_an_empty_axis_makes_no_items(expanded: Expand) -> None:
    expansion = expanded(mirror("https://h/{v}", "s3://bbb/{v}", "  matrix: {v: []}\n"))
    assert (expansion.items, expansion.problems) == ((), ())


def test_a_matrix_has_a_limit(expanded: Expand) -> None:
    axis = "[" + ", ".join(f"'{number}'" for number in range(101)) + "]"
    text = mirror("https://h/{a}{b}{c}", "s3://bbb/", f"  matrix: {{a: {axis}, b: {axis}, c: {axis}}}\n")
    (problem,) = short(expanded(text))
    assert problem.startswith("1.yaml:4:11: mirrors[0].matrix: more than 1,000,000 combinations")


# ── collisions and names ──────────────────────────────────────────────────────────────────────────
def test_two_items_with_one_object_are_an_error_that_names_both(expanded: Expand, tmp_path: Path) -> None:
    expansion = expanded(
        "mirrors:\n- {url: https://h/x, to: s3://bbb/a, name: first}\n"
        "- {url: https://h/y, to: s3://bbb/a, name: second}\n"
    )
    (problem,) = short(expansion)
    assert problem == (
        f"1.yaml:3:26: mirrors[1].to: s3://bbb/a of second is also the object of first ({tmp_path}/1.yaml:2); "
        "one object, one item"
    )
    assert expansion.items == ()


def test_of_two_files_that_collide_the_later_is_faulty(expanded: Expand) -> None:
    one = "mirrors: {https://h/x: s3://bbb/a}\n"
    expansion = expanded(one, "mirrors: {https://h/z: s3://bbb/z, https://h/y: s3://bbb/a}\n", one.replace("/a", "/z"))
    assert [Path(share.manifest.file).name for share in expansion.files if share.problems] == ["2.yaml"]
    assert [item.destination.key for item in expansion.items] == ["a", "z"]  # what a faulty file claims is free


def test_a_matrix_that_collides_with_itself_is_an_error(expanded: Expand) -> None:
    (problem,) = short(expanded(mirror("https://h/{v}", "s3://bbb/same", "  matrix: {v: [a, b]}\n")))
    assert problem.startswith("1.yaml:3:7: mirrors[0].to: s3://bbb/same of s3://bbb/same is also the object of")


STORES = "stores: {default: {provider: %s, endpoint_url: http://h:1}, b: {endpoint_url: '%s'}}\n"
SLASHES = "mirrors:\n- {url: https://h/x, to: 's3://bbb/d\\x'}\n- {url: https://h/y, to: s3://bbb/d/x, name: y}\n"


def test_keys_are_compared_in_the_form_of_the_provider(expanded: Expand) -> None:
    (problem,) = short(expanded(STORES % ("seaweedfs", "http://h:2") + SLASHES))
    assert "1.yaml:4:26: mirrors[1].to: s3://bbb/d/x of y is also the object of s3://bbb/d/x" in problem
    assert len(expanded(STORES % ("minio", "http://h:2") + SLASHES).items) == 2


COMPOSED = (
    "mirrors:\n- {url: https://h/x, to: 's3://bbb/\u00e9'}\n- {url: https://h/y, to: 's3://bbb/e\u0301', name: y}\n"
)


def test_keys_of_one_unicode_normal_form_are_one_object_at_r2(expanded: Expand) -> None:
    (problem,) = short(expanded(STORES % ("r2", "http://h:2") + COMPOSED))
    assert "mirrors[1].to: s3://bbb/\u00e9 of y is also the object of s3://bbb/\u00e9" in problem
    assert len(expanded(STORES % ("minio", "http://h:2") + COMPOSED).items) == 2


def test_a_key_may_not_leave_its_prefix_by_the_provider_s_rules(expanded: Expand) -> None:
    text = STORES % ("seaweedfs", "http://h:2") + mirror("https://h/x", "'s3://bbb/a\\..\\b'")
    assert short(expanded(text)) == ["1.yaml:4:7: mirrors[0].to: the key has a segment .."]


TWICE = (
    "mirrors:\n- {url: https://h/x, to: s3://bbb/a, name: x}\n- {url: https://h/x, to: s3://bbb/a, store: b, name: y}\n"
)


def test_stores_with_one_endpoint_have_the_same_objects(expanded: Expand) -> None:
    assert len(short(expanded(STORES % ("minio", "http://H:1/") + TWICE))) == 1
    apart = expanded(STORES % ("minio", "http://h:2") + TWICE).items
    assert len({item.id for item in apart}) == 2


def test_identity_does_not_depend_on_names(expanded: Expand) -> None:
    text = "stores: {%s: {endpoint_url: 'http://h:1'}}\nmirrors: [{url: https://h/x, to: s3://bbb/a, name: %s}]\n"
    (one,), (other,) = expanded(text % ("a", "b")).items, expanded(text % ("c", "d")).items
    assert one.id == other.id


def test_names_are_unique_over_all_files(expanded: Expand, tmp_path: Path) -> None:
    text = "mirrors: [{url: https://h/x, to: s3://bbb/%s, name: same}]\n"
    (problem,) = short(expanded(text % "a", text % "b"))
    assert problem == (
        f"2.yaml:1:52: mirrors[0].name: an entry is called same already ({tmp_path}/1.yaml:1); "
        "give this one another name"
    )


def test_names_default_to_the_object_and_the_folder(expanded: Expand) -> None:
    expansion = expanded("mirrors: {https://h/x: s3://bbb/a/}\nfolders: [{path: in, to: s3://bbb/in}]\n")
    assert [item.entry for item in expansion.items] == ["s3://bbb/a/x"]
    assert [folder.entry for folder in expansion.folders] == ["in"]


# ── options ───────────────────────────────────────────────────────────────────────────────────────
def test_entries_without_options_share_the_defaults(expanded: Expand) -> None:
    items = expanded("mirrors: {https://h/x: s3://bbb/a, https://h/y: s3://bbb/b}\n").items
    assert items[0].options == Options()
    assert items[0].options is items[1].options


def test_all_options_are_converted(expanded: Expand) -> None:
    (item,) = expanded(
        mirror(
            "https://h/x",
            "s3://bbb/a",
            """\
  every: never
  max_size: 1GiB
  expect: {content_type: text/csv}
  overwrite: never
  drift: ignore
  suspend: true
  http: {headers: {A: b}, idle_timeout: 5s, max_redirects: 2}
  upload: {multipart_threshold: 8MiB, part_size: 5MiB, concurrency: 2}
  object: {content_type: a/b, cache_control: c, content_disposition: d, content_encoding: e, content_language: f,
    expires: 2030-01-31, metadata: {g: h}, tags: {i: j}, storage_class: GLACIER_IR, acl: private,
    encryption: {mode: 'aws:kms', kms_key_id: l}}
""",
        )
    ).items
    options = item.options
    assert options.schedule.every is None
    assert (options.requires.max_size, options.requires.content_type) == (1024**3, "text/csv")
    assert (options.overwrite, options.drift, options.suspend) == (Overwrite.NEVER, Drift.IGNORE, True)
    assert revealed(options.http.headers) == {"A": "b"}
    assert (options.http.idle_timeout, options.http.max_redirects) == (5.0, 2)
    upload, stored = options.upload, options.object
    assert (upload.multipart_threshold, upload.part_size, upload.concurrency) == (8 * 1024**2, 5 * 1024**2, 2)
    assert (stored.content_type, stored.cache_control, stored.content_disposition) == ("a/b", "c", "d")
    assert (stored.content_encoding, stored.content_language, stored.expires) == ("e", "f", "2030-01-31")
    assert (stored.metadata, stored.tags, stored.storage_class, stored.acl) == (
        {"g": "h"},
        {"i": "j"},
        "GLACIER_IR",
        "private",
    )
    assert (stored.encryption, stored.kms_key_id) == ("aws:kms", "l")


@pytest.mark.parametrize(
    ("http", "headers"),
    [
        ("{bearer: t}", {"Authorization": "Bearer t"}),
        ("{basic: {username: u, password: 'p:q'}}", {"Authorization": "Basic dTpwOnE="}),
        ("{headers: {X: y}, bearer: t}", {"X": "y", "Authorization": "Bearer t"}),
    ],
)
def test_credentials_of_a_source_become_a_header(expanded: Expand, http: str, headers: dict[str, str]) -> None:
    (item,) = expanded(mirror("https://h/x", "s3://bbb/a", f"  http: {http}\n")).items
    assert revealed(item.options.http.headers) == headers
    assert "Bearer" not in repr(item)


def test_values_of_entries_override_the_defaults(expanded: Expand) -> None:
    items = expanded("""
defaults:
  every: 5m
  drift: report
  store: b
  http: {bearer: t, max_redirects: 3}
  object: {metadata: {a: b}, cache_control: no-store}
  matrix: {v: [x]}
  settle: 9s
stores: {a: {}, b: {endpoint_url: "http://h:1"}}
mirrors:
- {url: "https://h/{v}/1", to: "s3://bbb/{v}/1"}
- url: https://h/2
  to: s3://bbb/2
  every: 1h
  drift: repair
  store: a
  matrix: {}
  http: {basic: {username: u, password: p}, idle_timeout: 1s}
  object: {metadata: {c: d}}
""").items
    first, second = items[0], items[1]
    assert (first.options.schedule.every, first.options.drift, first.destination.store) == (300.0, "report", "b")
    assert (first.origin, first.options.http.headers["Authorization"]) == (Url("https://h/x/1"), Secret("Bearer t"))
    assert (second.options.schedule.every, second.options.drift, second.destination.store) == (3600.0, "repair", "a")
    assert revealed(second.options.http.headers) == {"Authorization": "Basic dTpw"}
    assert (second.options.http.max_redirects, second.options.http.idle_timeout) == (3, 1.0)
    assert (second.options.object.metadata, second.options.object.cache_control) == ({"c": "d"}, "no-store")


# ── folders ───────────────────────────────────────────────────────────────────────────────────────
def folder(expanded: Expand, rest: str = "", to: str = "s3://bbb/in/", head: str = "") -> FolderSpec:
    (spec,) = expanded(f"{head}folders:\n- path: inbox\n  to: '{to}'\n{rest}").folders
    return spec


def test_a_folder_is_relative_to_its_manifest(expanded: Expand, tmp_path: Path) -> None:
    spec = folder(expanded, "  include: ['*.csv']\n  exclude: ['*.bak']\n  settle: 0s\n  suspend: true\n")
    assert (spec.path, spec.target.bucket, spec.target.key) == (f"{tmp_path}/inbox", "bbb", "in/{path}")
    assert (spec.selection.include, spec.selection.exclude) == (("*.csv",), ("*.bak",))
    assert (spec.times.settle, spec.options.suspend) == (0.0, True)


@pytest.mark.parametrize(
    ("rest", "watch", "follow"),
    [
        ("", "auto", False),
        ("  follow_symlinks: true\n", "poll", True),
        ("  follow_symlinks: true\n  watch: events\n", "events", True),
    ],
)
def test_a_folder_with_follow_symlinks_is_polled_unless_watch_is_set(
    expanded: Expand, rest: str, watch: str, follow: bool
) -> None:
    spec = folder(expanded, rest)
    assert (spec.times.watch, spec.selection.follow_symlinks) == (watch, follow)
    assert item_of(spec, "a", 0.0).origin == File(spec.path, "a", follow=follow)


def test_the_items_of_a_folder_have_its_options(expanded: Expand) -> None:
    spec = folder(
        expanded,
        "  max_size: 1KiB\n  drift: report\n  overwrite: never\n  object: {acl: private}\n  upload: {concurrency: 1}\n",
    )
    options = item_of(spec, "x", 0.0).options
    assert (options.requires.max_size, options.drift, options.overwrite) == (1024, Drift.REPORT, Overwrite.NEVER)
    assert (options.object.acl, options.upload.concurrency) == ("private", 1)


@pytest.mark.parametrize(
    ("to", "key", "name", "expected"),
    [
        ("s3://bbb/in/", "{path}", "a/b.tar.gz", "in/a/b.tar.gz"),
        ("s3://bbb/in", "{path}", "b", "in/b"),
        ("s3://bbb", "{path}", "b", "b"),
        ("s3://bbb/", "{name}", "a/b.csv", "b.csv"),
        ("s3://bbb/", "{stem}-1{ext}", "a/b.tar.gz", "b.tar-1.gz"),
        ("s3://bbb/", "{stem}{ext}", "a/.hidden", ".hidden"),
        ("s3://bbb/in/", "{date:%Y/%m/%d}/{path}", "b", "in/2024/02/29/b"),
        ("s3://bbb/in/", "{date}/{path}", "b", "in/2024-02-29/b"),
        ("s3://bbb/{date:%H}/", "{path}", "b", "23/b"),
        ("s3://bbb/{{x}}/", "{path}", "{b}", "{x}/{b}"),
        ("s3://bbb/", "{path}", "a b/ä.txt", "a b/ä.txt"),
    ],
)
def test_the_key_of_a_file(expanded: Expand, tmp_path: Path, to: str, key: str, name: str, expected: str) -> None:
    spec = folder(expanded, f"  key: '{key}'\n", to)
    item = item_of(spec, name, 1709251199.9)  # 2024-02-29T23:59:59.9Z
    assert item.destination.key == expected
    assert has_date(spec) is ("{date" in to + key)
    assert item == Item(
        id=item.destination.item_id,
        entry="inbox",
        origin=File(f"{tmp_path}/inbox", name),
        destination=item.destination,
        options=spec.options,
        dated=1709251199.9 if "{date" in to + key else None,
    )


@pytest.mark.parametrize("name", ["../x", "a/../x", "a//b", "a\0b", "x" * 1022, "\udcff"])
def test_a_file_whose_name_makes_no_key_is_refused(expanded: Expand, name: str) -> None:
    with pytest.raises(KeyRefused, match=r"^the key .*: rename the file"):
        item_of(folder(expanded), name, 0.0)


def test_a_file_without_a_date_is_refused(expanded: Expand) -> None:
    with pytest.raises(KeyRefused, match="no date"):
        item_of(folder(expanded, "  key: '{date}/{path}'\n"), "x", 1e20)


def test_a_file_may_not_leave_its_prefix_by_the_provider_s_rules(expanded: Expand) -> None:
    spec = folder(expanded, head="stores: {s: {provider: embedded}}\n")
    assert spec.target.provider is ProviderName.EMBEDDED
    assert item_of(spec, "a\\b", 0.0).destination.key == "in/a/b"
    with pytest.raises(KeyRefused):
        item_of(spec, "a\\..\\..\\b", 0.0)


@pytest.mark.parametrize(
    ("to", "key", "expected"),
    [
        ("s3://bbb/in/", "{date}", "1.yaml:4:8: folders[0].key: every file would have the same key; use {path}"),
        ("s3://bbb/in/", "x", "1.yaml:4:8: folders[0].key: every file would have the same key; use {path}"),
        ("s3://bbb/in/", "{host}{path}", "1.yaml:4:8: folders[0].key: unknown placeholder; known: path, name, stem"),
        ("s3://bbb/in/", "../{path}", "1.yaml:4:8: folders[0].key: the key has a segment .."),
        ("s3://bbb/in/", "/{path}", "1.yaml:4:8: folders[0].key: the key has an empty segment"),
        ("s3://bbb/{x}/", "{path}", "1.yaml:3:7: folders[0].to: unknown placeholder; known: path, name, stem"),
        ("s3://{path}/", "{path}", "1.yaml:3:7: folders[0].to: the bucket's name needs 3 to 63"),
    ],
)
def test_an_invalid_folder_is_a_problem(expanded: Expand, to: str, key: str, expected: str) -> None:
    (problem,) = short(expanded(f"folders:\n- path: /a\n  to: '{to}'\n  key: '{key}'\n"))
    assert problem.startswith(expected)


# ── all together ──────────────────────────────────────────────────────────────────────────────────
def test_validate_returns_all_problems_in_the_order_of_the_files(tmp_path: Path) -> None:
    texts = {
        "c.yaml": "mirrors: {https://h/x: s3://bbb/../x, https://h/y: 's3://bbb/{'}\n",
        "b.yaml": "mirors: []\n",
        "a.yaml": "mirrors: {https://h/x: s3://bbb/x}\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    problems = validate([str(tmp_path / name) for name in texts], {})
    assert [(Path(one.file).name, one.line, one.column) for one in problems] == [
        ("c.yaml", 1, 24),
        ("c.yaml", 1, 52),
        ("b.yaml", 1, 1),
    ]


def test_validate_with_allow_unset_ignores_unset_values(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(
        "mirrors:\n- {url: '${URL}', to: s3://bbb/x}\n- {url: https://h/x, to: 's3://${BUCKET}/', store: '${S}'}\n"
    )
    assert len(validate([str(file)], {})) == 3
    assert validate([str(file)], {}, allow_unset=True) == ()


def test_twenty_thousand_items_need_little_time_and_memory(expanded: Expand, tmp_path: Path) -> None:
    file = tmp_path / "many.yaml"
    file.write_text("mirrors:\n" + "".join(f"  https://example.org/{n}: s3://bbb/\n" for n in range(20_000)))
    begin = process_time()
    items = expand(load_all([str(file)], {})).items
    assert process_time() - begin < 6  # about one second on a quiet core
    assert len({item.id for item in items}) == 20_000


# ── every fault in one pass ───────────────────────────────────────────────────────────────────────
def validated(tmp_path: Path, **files: str) -> list[str]:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(dedent(text))
    paths = [str(tmp_path / f"{name}.yaml") for name in files]
    return [str(problem).removeprefix(f"{tmp_path}/").partition(";")[0] for problem in validate(paths, {})]


def test_faults_of_fields_stores_and_keys_do_not_hide_each_other(tmp_path: Path) -> None:
    text = """
    stores:
      default: {provider: ceph}
      other: {provider: aws, checksum: wrong}
    mirrors:
      - {url: https://h/a, to: s3://bbb/a, evry: 1h}
      - {url: https://h/b, to: s3://bbb/../b}
      - {url: https://h/c, to: s3://bbb/c, store: nowhere}
      - {url: https://h/d, to: 's3://bbb/{nme}'}
      - {url: https://h/e, to: s3://bbb/c, store: other}
      - {url: https://h/f, to: s3://bbb/c, store: other}
      - {url: https://h/g, to: s3://bbb/g, object: {lock: {mode: GOVERNANCE}}}
    """
    assert validated(tmp_path, a=text) == [
        'a.yaml:4:36: stores.other.checksum: "wrong" is not one of auto, crc64nvme, crc32c, crc32, sha256, md5, none',
        "a.yaml:6:40: mirrors[0].evry: unknown field",
        "a.yaml:7:28: mirrors[1].to: the key has a segment ..",
        "a.yaml:8:47: mirrors[2].store: no store is called nowhere",
        "a.yaml:9:28: mirrors[3].to: unknown placeholder",
        "a.yaml:11:28: mirrors[5].to: s3://bbb/c of s3://bbb/c is also the object of s3://bbb/c "
        f"({tmp_path}/a.yaml:10)",
        "a.yaml:12:55: mirrors[6].object.lock.retain: is missing",
    ]


def test_a_faulty_file_is_also_checked_against_the_valid_ones(tmp_path: Path) -> None:
    sound = "mirrors: {https://h/a: s3://bbb/a}\n"
    faulty = "mirrors:\n  - {url: https://h/b, to: s3://bbb/b, evry: 1h}\n  - {url: https://h/a2, to: s3://bbb/a}\n"
    assert validated(tmp_path, faulty=faulty, sound=sound) == [
        "faulty.yaml:2:40: mirrors[0].evry: unknown field",
        f"faulty.yaml:3:29: mirrors[1].to: s3://bbb/a of s3://bbb/a is also the object of {tmp_path}/sound.yaml",
    ]


def test_indexes_are_those_of_the_file_although_entries_before_were_left_out(tmp_path: Path) -> None:
    text = """
    mirrors:
      - {url: https://h/a}
      - {url: https://h/b}
      - {url: https://h/c, to: 's3://bbb/{x}'}
    """
    assert validated(tmp_path, a=text) == [
        "a.yaml:3:5: mirrors[0].to: is missing",
        "a.yaml:4:5: mirrors[1].to: is missing",
        "a.yaml:5:28: mirrors[2].to: unknown placeholder",
    ]


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────
def test_a_list_is_relative_to_its_manifest_and_gets_the_entrys_settings(expanded: Expand, tmp_path: Path) -> None:
    entries = "{list: l/x.tsv, to: 's3://bbb/p/'}, {list: 'https://h/SHA256SUMS', to: 's3://bbb{path}', name: n}"
    text = f"defaults: {{every: 5m}}\nmirrors: [{entries}]"
    local, web = expanded(text).lists
    assert (local.entry, local.location, local.by_url) == ("s3://bbb/p/", str(tmp_path / "l/x.tsv"), False)
    assert (web.entry, web.location, web.by_url) == ("n", "https://h/SHA256SUMS", True)
    assert local.options.schedule.every == web.options.schedule.every == 300.0
    assert expanded(text).items == ()


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("list: x.foo, to: s3://bbb/", "mirrors[0].list: the name of this list gives no format; known are .tsv"),
        ("list: 'https://h:port/x.txt', to: s3://bbb/", "mirrors[0].list: this is no URL; check its host and port"),
        ("list: x.txt, to: s3://bbb/x", "mirrors[0].to: every row would have the same key"),
        ("list: x.txt, to: 's3://bbb/{key}/'", "mirrors[0].to: unknown placeholder"),
        ("list: x.txt, to: s3://B/", "mirrors[0].to: the bucket's name needs"),
        ("list: x.txt, to: s3://bbb/, matrix: {v: ['1']}", "mirrors[0].matrix: a list has no matrix"),
        (f"list: x.txt, to: s3://bbb/, checksum: 'sha256:{'0' * 64}'", "mirrors[0].checksum: one digest for all rows"),
        (
            "list: x.txt, to: s3://bbb/}, {list: y.txt, to: s3://bbb/",
            "mirrors[1].name: an entry is called s3://bbb/ already",
        ),
    ],
)
def test_a_list_that_makes_no_items_is_a_fault(expanded: Expand, entry: str, fault: str) -> None:
    (problem,) = short(expanded(f"mirrors: [{{{entry}}}]"))
    assert fault in problem


@pytest.mark.parametrize("value", ["s3://b/x.tsv", "file:///x.tsv", "ftp://h/x.tsv"])
def test_a_list_is_a_path_or_a_web_address(tmp_path: Path, value: str) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(f"mirrors: [{{list: '{value}', to: s3://bbb/}}]")
    (problem,) = validate([str(file)], {})
    assert "is not a list of sources" in problem.message
