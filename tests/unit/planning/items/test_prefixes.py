"""Which prefix is listed for the items of mirrors and folders."""

from collections.abc import Mapping

import pytest

from mirrord.declared import FolderSpec, FolderTarget
from mirrord.model import Destination, ProviderName
from mirrord.planning.items.prefixes import KeyPrefix, cheapest_prefixes, folder_prefix, key_directory, shared_prefixes


@pytest.mark.parametrize(
    ("counts", "chosen"),
    [
        ({}, {}),
        ({"": 5}, {}),  # 12 HEADs cost a page: HEADs are cheaper
        ({"": 12}, {}),
        ({"": 13}, {"": ""}),
        ({"": 100_000}, {"": ""}),
        ({"a/b/c/": 100}, {"a/b/c/": "a/b/c/"}),  # no parent: it may hold anything
        ({"a/x/": 1_000, "a/y/": 1_000}, {"a/x/": "a/x/", "a/y/": "a/y/"}),  # the parent saves no page
        ({"a/x/": 400, "a/y/": 400}, {"a/x/": "a/", "a/y/": "a/"}),
        ({"a/x/": 400, "b/": 400}, {"a/x/": "", "b/": ""}),
        ({f"days/{day}/": 1 for day in range(365)}, {f"days/{day}/": "days/" for day in range(365)}),
        ({"a/": 500, "a/b/": 3_000}, {"a/": "a/", "a/b/": "a/"}),  # a listing of a/ lists a/b/, too
        ({"a/": 11, "a/b/": 3_000}, {"a/b/": "a/b/"}),  # 11 HEADs and 3 pages cost less than 4 pages
        ({"a/": 3, "z/": 2_000}, {"z/": "z/"}),
    ],
)
def test_the_cheapest_prefixes(counts: Mapping[str, int], chosen: Mapping[str, str]) -> None:
    assert cheapest_prefixes(counts) == chosen


def test_buckets_and_stores_share_no_prefix() -> None:
    def place(store: str, bucket: str, directory: str) -> KeyPrefix:
        return KeyPrefix(store, f"http://{store}", bucket, directory)

    directories = {place("s", "b", "x/"): 10, place("s", "b", "y/"): 10, place("s", "c", "x/"): 10}
    assert shared_prefixes(directories | {place("t", "b", "x/"): 20}) == {
        place("s", "b", "x/"): place("s", "b", ""),
        place("s", "b", "y/"): place("s", "b", ""),
        place("t", "b", "x/"): place("t", "b", "x/"),
    }


@pytest.mark.parametrize(
    ("key", "provider", "prefix"),
    [
        ("{path}", ProviderName.AWS, ""),
        ("in/{path}", ProviderName.AWS, "in/"),
        ("in/deep/x-{name}", ProviderName.AWS, "in/deep/"),
        ("in/{{x}}/{date}/{path}", ProviderName.AWS, "in/{x}/"),
        ("in\\deep\\{path}", ProviderName.AWS, ""),
        ("in\\deep\\{path}", ProviderName.SEAWEEDFS, "in/deep/"),
        ("one/key", ProviderName.AWS, "one/"),
    ],
)
def test_a_folder_has_the_part_of_its_template_before_the_first_placeholder(
    key: str, provider: ProviderName, prefix: str
) -> None:
    target = FolderTarget(store="s", endpoint="http://s", provider=provider, bucket="b", key=key)
    assert folder_prefix(FolderSpec(entry="f", path="/f", target=target)) == KeyPrefix("s", "http://s", "b", prefix)


def test_the_directory_of_a_key() -> None:
    assert key_directory(Destination("s", "e", "b", "a/b/c")) == KeyPrefix("s", "e", "b", "a/b/")
    assert key_directory(Destination("s", "e", "b", "c")) == KeyPrefix("s", "e", "b", "")
    assert KeyPrefix("s", "e", "b", "a/").destination == Destination("s", "e", "b", "a/")
