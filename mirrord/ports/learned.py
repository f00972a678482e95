"""What the journal has learned of stores, as texts for people."""

from mirrord.ports.journal import JournalQueries

KEPT_FOR = 30 * 86400.0
"""Seconds for which a learned fact counts."""


async def learned_texts(journal: JournalQueries, now: float) -> tuple[str, ...]:
    """What stores did otherwise than asked, of the last 30 days."""
    return tuple(fact.text for fact in await journal.learned(now - KEPT_FOR) if fact.text)
