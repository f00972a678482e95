"""Requests to the API, and inputs of `mirrord import`, of any text: an answer below 500, a manifest or a reason."""

from contextlib import suppress

from hypothesis import strategies as st

from mirrord.importing.draft import imported
from mirrord.importing.inputs import InputText
from mirrord.importing.values import ImportRefused
from mirrord.manifest.manifest import Manifest
from mirrord.web.query import items_query
from tests.support.fuzzing import corpus, fuzz, mutated
from tests.support.importing import MACHINE


def _import(content: bytes) -> None:
    with suppress(ImportRefused):
        result = imported([InputText("x", content)], MACHINE, "s3://bkt/")
        assert Manifest.parse("m.yaml", result.text.encode(), {}, allow_unset=True).problems == ()


def test_imports() -> None:
    fuzz(mutated(corpus("imports")), _import, examples=40)


_PAIRS = st.lists(
    st.tuples(
        st.sampled_from(["state", "entry", "q", "cursor", "limit", "Q", ""]),
        st.one_of(st.sampled_from(["", "Synced", "5", "9" * 2000, "²"]), st.text(max_size=20)),
    ),
    max_size=4,
)


def _query(pairs: list[tuple[str, str]]) -> None:
    with suppress(ValueError):
        assert 1 <= items_query(pairs).limit <= 1000


def test_queries() -> None:
    fuzz(_PAIRS, _query, examples=200)
