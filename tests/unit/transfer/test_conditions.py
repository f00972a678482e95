"""A refusal of conditional writes is remembered once a write without the condition succeeded."""

import pytest

from mirrord.transfer.conditions import RefusedConditions

STORE = "http://store"


def fails(refused: RefusedConditions) -> None:
    def write() -> None:
        with refused.tried_without(STORE):
            assert STORE in refused
            raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        write()


def test_a_write_that_fails_without_the_condition_too_teaches_nothing() -> None:
    refused = RefusedConditions()
    fails(refused)
    assert STORE not in refused


def test_what_was_learned_is_not_forgotten_when_a_later_write_fails() -> None:
    refused = RefusedConditions()
    with refused.tried_without(STORE):
        pass
    fails(refused)
    assert STORE in refused
    assert "http://other" not in refused
