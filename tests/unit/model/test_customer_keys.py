"""The digest of a customer's key, and its place in the digest of options."""

import pytest

from mirrord.model import Destination, Secret, customer_key_in, is_customer_key, key_digest, version_at
from mirrord.model import ObjectOptions as Options
from mirrord.planning.decisions.decide import options_digest
from tests.support.customer_keys import DIGEST_OF_FIRST, DIGEST_OF_SECOND, FIRST

PLAIN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (FIRST, True),
        (FIRST[:-1], False),
        (FIRST[4:], False),
        ("AAAA" + FIRST, False),
        (FIRST.replace("A", "-", 1), False),
        (FIRST + "\n", False),
        ("x" * 32, False),
        ("ü" * 44, False),
        ("", False),
    ],
)
def test_a_key_is_base64_of_32_bytes(text: str, valid: bool) -> None:
    assert is_customer_key(text) is valid


def test_the_digest_is_stable_and_shows_no_part_of_the_key() -> None:
    assert key_digest(Secret(FIRST)) == DIGEST_OF_FIRST == "8815f6cf1fc1cccb"
    assert DIGEST_OF_FIRST != DIGEST_OF_SECOND


def test_the_digest_of_options_names_the_key() -> None:
    """Without a key it is that of before, so that no object is written again."""
    plain, keyed = options_digest(Options()), options_digest(Options(customer_key=DIGEST_OF_FIRST))
    locked = options_digest(Options(customer_key=DIGEST_OF_FIRST, lock_mode="GOVERNANCE", retain=1.0))
    assert (customer_key_in(plain), customer_key_in(keyed), customer_key_in(locked)) == (None, *[DIGEST_OF_FIRST] * 2)
    assert len({plain, keyed, locked, options_digest(Options(customer_key=DIGEST_OF_SECOND))}) == 4
    assert keyed.startswith(plain)
    assert (customer_key_in(None), customer_key_in(PLAIN)) == (None, None)


def test_an_address_is_the_same_with_any_key() -> None:
    at = Destination("s", "http://store", "bucket", "k")
    keyed = at.keyed(DIGEST_OF_FIRST)
    assert (keyed == at, hash(keyed) == hash(at), keyed.item_id == at.item_id) == (True, True, True)
    assert (keyed.customer_key, keyed.keyed(None).customer_key, at.keyed(None)) == (DIGEST_OF_FIRST, None, at)
    assert DIGEST_OF_FIRST not in repr(keyed)
    assert version_at(keyed, "v").customer_key == DIGEST_OF_FIRST
