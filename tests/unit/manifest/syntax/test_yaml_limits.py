"""The cost of a hostile or broken file is bounded, and its only error is ManifestError."""

import json
from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mirrord.errors import ManifestError, Problem
from mirrord.manifest.manifest import Manifest


def parse(content: bytes) -> Manifest:
    return Manifest.parse("m.yaml", content, {})


def bomb(levels: int, line: str) -> bytes:
    text = "a0: &a0 {x: 1, y: 2}\n"
    for level in range(1, levels):
        text += line.format(here=level, below=level - 1)
    return text.encode()


@pytest.mark.parametrize(
    "line",
    [
        "a{here}: &a{here} [*a{below}, *a{below}, *a{below}, *a{below}, *a{below}, *a{below}, *a{below}, *a{below}]\n",
        "a{here}: &a{here} {{p: *a{below}, q: *a{below}, r: *a{below}, s: *a{below}}}\n",
        "a{here}: &a{here} {{<<: [*a{below}, *a{below}], p{here}: *a{below}, q{here}: *a{below}}}\n",
    ],
)
def test_an_alias_bomb_is_refused_before_it_is_expanded(line: str) -> None:
    begin = process_time()
    with pytest.raises(ManifestError, match=r"m\.yaml:\d+:\d+: .*aliases repeat more than 200,000 values"):
        parse(bomb(40, line))
    assert process_time() - begin < 1


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_an_error(opening: str) -> None:
    with pytest.raises(ManifestError, match="nested deeper than 32 levels"):
        parse((opening * 100_000).encode())


def test_a_deep_block_is_an_error() -> None:
    with pytest.raises(ManifestError, match=r"m\.yaml:33:33: .*nested deeper than 32 levels"):
        parse("".join(f"{' ' * level}a:\n" for level in range(200)).encode())


def test_aliases_and_merge_keys_are_expanded() -> None:
    manifest = parse(b"""
mirrors:
- &first
  url: https://h/a
  to: s3://bbb/a
  http: &http {max_redirects: 3}
- <<: *first
  to: s3://bbb/b
- {url: https://h/c, to: s3://bbb/c, http: *http}
- {<<: [{drift: report, to: s3://bbb/other}, *first], to: s3://bbb/d}
""")
    mirrors = manifest.document.mirrors
    assert [mirror.to for mirror in mirrors] == ["s3://bbb/a", "s3://bbb/b", "s3://bbb/c", "s3://bbb/d"]
    assert [mirror.http.max_redirects for mirror in mirrors] == [3, 3, 3, 3]
    assert [mirror.drift for mirror in mirrors] == ["repair", "repair", "repair", "report"]


def test_merging_a_value_that_is_not_a_mapping_is_an_error() -> None:
    with pytest.raises(ManifestError, match=r"m\.yaml:1:2: << merges mappings"):
        parse(b"{<<: 5}")


def test_a_quoted_merge_key_is_a_field() -> None:
    with pytest.raises(ManifestError, match=r"m\.yaml:1:2: \[<<\]: unknown field"):
        parse(b"{'<<': {}}")


def test_a_byte_order_mark_is_allowed() -> None:
    assert parse("\ufeffversion: 1\n".encode()).document.version == 1


WORDS = "mirrors stores url to : [ ] { } , &a *a << !!str ' # https://h/x s3://bbb/x ${A} ${ $$ no 1_0 ~"
MARKS = ("\n", "\n  ", "- ", ": ", '"', "|\n", ">\n", "---\n", "...\n", "%YAML 1.2\n")
PIECES = st.sampled_from((*WORDS.split(), *MARKS))


def problems_of(content: bytes) -> tuple[Problem, ...]:
    """What is wrong with a manifest, nothing if it is one; any other error than ManifestError comes through."""
    try:
        parse(content)
    except ManifestError as error:
        return error.problems or (Problem("", 0, 0, "", "an error without a problem"),)
    return ()


def fit_to_show(problems: tuple[Problem, ...]) -> bool:
    return all(one.line >= 1 and one.column >= 1 and one.message and "\n" not in str(one) for one in problems)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
@example("? ")
@example("%TAG ! x\n---\n!a b")
@example("a: !<tag:yaml.org,2002:int> x")
@example("mirrors: {? : x}")
@example("\ud7ff\ufffe")
@settings(max_examples=400, deadline=None)
def test_any_text_is_a_manifest_or_a_manifest_error(text: str) -> None:
    assert fit_to_show(problems_of(text.encode("utf-8", "surrogatepass")))


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_manifest_or_a_manifest_error(content: bytes) -> None:
    assert fit_to_show(problems_of(content))


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["url", "to", "http", "matrix", "prune", "checksum", "object", "every", "store", "defaults", "after_upload"]
)


@given(st.sampled_from(["mirrors", "folders"]), st.lists(st.dictionaries(FIELDS, VALUES, max_size=4), max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_value_in_any_field_is_accepted_or_a_manifest_error(section: str, entries: object) -> None:
    assert fit_to_show(problems_of(json.dumps({section: entries}).encode()))
