"""Translates PostgreSQL's errors: JournalUnavailable may end without help, JournalError needs the operator.

Owns that no password reaches an error or a log: libpq quotes the address only where it cannot parse it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from mirrord.errors import JournalError, JournalTakenOver, JournalUnavailable

TAKEN_OVER = "MR001"
"""SQLSTATE of `write_as` (migrations/0001_journal.sql)."""
_NO_TABLE = {"42P01", "3F000", "42883", "42703"}  # undefined table, schema, function, column
_RIGHTS = "42501"
_PASSING = {
    "25006": "it accepts no writes now: it is a standby, or a failover runs",
    "55P03": "another session holds a lock",
    "25P03": "a transaction was idle for too long",
    "57014": "a statement took too long",
}


@contextmanager
def translated(shown: str) -> Iterator[None]:
    """Raise psycopg's errors as JournalError and its children. `shown`: the address without a password."""
    try:
        yield
    except psycopg.Error as error:
        raise translation(shown, error) from error
    except (UnicodeError, OverflowError) as error:
        raise JournalError(f"the journal {shown} cannot store a value: {error}") from error
    except TimeoutError as error:
        raise JournalUnavailable(f"the journal {shown} did not answer in time") from error
    except OSError as error:
        raise JournalUnavailable(f"the journal {shown} cannot be reached: {error.strerror or error}") from error


def translation(shown: str, error: psycopg.Error) -> JournalError:
    code, text = error.sqlstate, _text(error)
    if code == TAKEN_OVER:
        return JournalTakenOver(
            f"another mirrord took over the state {shown}: this one was paused or cut off for longer than its lease "
            "and writes nothing more; restart it"
        )
    if code in _NO_TABLE:
        return JournalError(f"the journal {shown} has no tables of this mirrord: {text}; run `mirrord migrate`")
    if code == _RIGHTS:
        return JournalError(f"the journal {shown} refuses: {text}; grant the user all rights on mirrord's tables")
    if code in _PASSING:
        return JournalUnavailable(f"the journal {shown} cannot be used: {_PASSING[code]} ({text})")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return JournalUnavailable(f"the journal {shown} cannot be used: {text}; check PostgreSQL and the network")
    return JournalError(f"the journal {shown} failed: {text}")


def _text(error: psycopg.Error) -> str:
    """The first line of the message: the others quote the statement."""
    return error.diag.message_primary or (str(error).strip().splitlines() or [type(error).__name__])[0]
