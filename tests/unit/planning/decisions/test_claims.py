"""Which of several files has one object, and the message of the others."""

from itertools import permutations
from unicodedata import normalize

import pytest

from mirrord.model import Destination, FileIdentity
from mirrord.planning.decisions.claims import Claim, conflict_message, file_text, holder, mirror_text

AT = Destination("s", "http://store", "bucket", "in/x")
NFC, NFD = (normalize(form, "d/é") for form in ("NFC", "NFD"))


def claim(rank: int, name: str, *, recorded: bool = False) -> Claim:
    return Claim(rank, f"folder {rank}", name, recorded=recorded)


@pytest.mark.parametrize(
    ("claims", "wins"),
    [
        ([claim(0, "x")], 0),
        ([claim(0, "a/x"), claim(0, "b/x"), claim(0, "c/x")], 0),
        ([claim(0, "b"), claim(1, "a")], 0),
        ([claim(0, "a"), claim(1, "b", recorded=True)], 1),
        ([claim(0, "a"), claim(0, "b", recorded=True)], 0),  # in one folder, the first by name
        ([claim(0, "a"), claim(1, "b"), claim(1, "c", recorded=True)], 1),
        ([claim(2, "a"), claim(1, "c"), claim(1, "b")], 2),
    ],
)
def test_the_holder(claims: list[Claim], wins: int) -> None:
    for some in permutations(claims):
        found = holder(some)
        assert (found.entry, found.name) == (claims[wins].entry, claims[wins].name)


def test_a_joined_claim_has_the_first_name_and_its_file() -> None:
    one, other = FileIdentity(1, 1, 1, 1, 1), FileIdentity(1, 2, 1, 1, 1)
    first, second = Claim(0, "f", "a", one), Claim(0, "f", "b", other, recorded=True)
    for joined in (first.joined(second), second.joined(first)):
        assert joined == Claim(0, "f", "a", one, recorded=True)


@pytest.mark.parametrize(
    ("file", "options", "same"),
    [
        (FileIdentity(1, 2, 9, 9, 9), "o", True),  # one file, seen while it is written
        (FileIdentity(1, 2, 3, 4, 5), "p", False),
        (FileIdentity(1, 3, 3, 4, 5), "o", False),
        (FileIdentity(2, 2, 3, 4, 5), "o", False),
        (None, "o", False),
    ],
)
def test_one_file_that_is_found_twice(file: FileIdentity | None, options: str, same: bool) -> None:
    one = Claim(0, "a", "x", FileIdentity(1, 2, 3, 4, 5), "o")
    other = Claim(1, "b", "y", file, options)
    assert one.is_file_of(other) is other.is_file_of(one) is same


@pytest.mark.parametrize(
    ("name", "rival", "texts"),
    [
        ("b/x", "a/x", "b/x and a/x have one object, s3://bucket/in/x: rename one"),
        ("x", mirror_text("m"), "x and the mirror m have one object"),
        ("x", file_text("file:///srv/a/x", "a"), "x and file:///srv/a/x in the folder a have one object"),
        (NFC, NFD, f"{NFC} (Unicode form NFC) and {NFD} (Unicode form NFD) have"),
        (f"{NFC}/{NFD}", f"{NFC}/{NFC}", f"{NFC}/{NFD} (Unicode form mixed) and {NFC}/{NFC} (Unicode form NFC) have"),
        (NFD, file_text(f"file:///srv/{NFC}", "a"), f"{NFD} (Unicode form NFD) and file:///srv/{NFC} in the folder a"),
        (NFC, file_text(f"file:///srv/{NFC}", "a"), f"{NFC} and file:///srv/{NFC} in the folder a have"),
        (f"a/{NFC}", f"b/{NFD}", f"a/{NFC} and b/{NFD} have"),
    ],
)
def test_the_message_names_both(name: str, rival: str, texts: str) -> None:
    assert texts in conflict_message(name, rival, AT)
