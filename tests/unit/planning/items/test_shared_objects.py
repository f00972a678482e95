"""Which folders are compared, because two of their files may have one object."""

import random
from itertools import product
from typing import Any

import pytest

from mirrord.declared import FolderSpec, FolderTarget
from mirrord.errors import KeyRefused
from mirrord.model import ProviderName
from mirrord.planning.items.bind import item_of
from mirrord.planning.items.shared_objects import has_distinct_keys, may_merge, merges, partners, sharing
from mirrord.providers import profile


def folder(entry: str, key: str, provider: ProviderName = ProviderName.AWS, **more: Any) -> FolderSpec:
    target = {"store": "s", "endpoint": "http://store", "bucket": "bucket"} | more
    return FolderSpec(entry=entry, path=f"/{entry}", target=FolderTarget(key=key, provider=provider, **target))


@pytest.mark.parametrize(
    ("key", "distinct"),
    [
        ("{path}", True),
        ("in/{path}", True),
        ("in/{path}.gz", True),
        ("{date:%Y/%m/%d}/{path}", True),
        ("{date}/{path}", True),
        ("{path}-{date:%Y%m%dT%H%M%S}", True),
        ("{date:%B}{path}", False),
        ("{date:%-d}{path}", False),
        ("{name}", False),
        ("{path}{name}", False),
        ("{path}{path}", False),
        ("{stem}{ext}", False),
        ("{date}/{name}", False),
    ],
)
def test_keys_of_one_folder(key: str, distinct: bool) -> None:
    assert has_distinct_keys(folder("a", key)) is distinct
    assert sharing([folder("a", key)]) == (frozenset() if distinct else {"a"})


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("in/{path}", "in/{path}", True),
        ("in/{path}", "in/sub/{path}", True),
        ("{path}", "in/{path}", True),
        ("in/{path}", "inner/{path}", False),
        ("a/{path}", "b/{path}", False),
        ("{date}/{path}", "2020-01-01/{path}", True),
        ("a/{date}/{path}", "b/{path}", False),
    ],
)
def test_keys_of_two_folders(one: str, other: str, meet: bool) -> None:
    for first, second in ((one, other), (other, one)):
        folders = [folder("a", first), folder("b", second)]
        assert sharing(folders) == ({"a", "b"} if meet else frozenset())
        assert partners(folders, folders[:1]) == (folders[1:] if meet else [])


@pytest.mark.parametrize("other", [{"endpoint": "http://other"}, {"bucket": "other"}])
def test_other_buckets_share_nothing(other: dict[str, str]) -> None:
    assert not sharing([folder("a", "in/{path}"), folder("b", "in/{path}", **other)])


def test_a_prefix_below_two_others() -> None:
    folders = [
        folder("a", "in/{path}"),
        folder("b", "in/b/{path}"),
        folder("c", "in/c/{path}"),
        folder("d", "x/{path}"),
    ]
    assert sharing(folders) == {"a", "b", "c"}
    assert [one.entry for one in partners(folders, [folders[1]])] == ["a"]


def test_a_prefix_may_end_in_the_first_half_of_a_sign() -> None:
    r2 = [folder("a", "in/e{path}", ProviderName.R2), folder("b", "in/é{path}", ProviderName.R2)]
    assert sharing(r2) == {"a", "b"}


@pytest.mark.parametrize("provider", [ProviderName.AWS, ProviderName.R2, ProviderName.SEAWEEDFS])
def test_no_two_files_have_one_object_where_it_says_so(provider: ProviderName) -> None:
    """Each pair of names in each pair of folders, with random templates."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    parts = ["{path}", "{name}", "{stem}", "a/", "b/", "e", "é", "{date:%d}"]
    names = ["x", "a/x", "b/x", "b/x.y", "a\\x", "\u0301", "e\u0301", "é", "a/a/x"]
    for _ in range(300):
        keys = ["".join(chance.choices(parts, k=3)) for _ in range(2)]
        folders = [folder(str(number), key, provider) for number, key in enumerate(keys)]
        known = sharing(folders)
        found: dict[str, tuple[str, str]] = {}
        for one, name in product(folders, names):
            try:
                item = item_of(one, name, 0.0)
            except KeyRefused:
                continue
            other, its_name = found.setdefault(item.id, (one.entry, name))
            merged = may_merge(one) and any(merges(profile(provider), some) for some in (name, its_name))
            is_itself = (other, its_name) == (one.entry, name)
            assert is_itself or {other, one.entry} <= known or (other == one.entry and merged), (keys, name, its_name)
