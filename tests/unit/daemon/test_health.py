"""Health of stores and freshness of entries, from events; proxies in use, as the status shows them."""

from dataclasses import replace

import pytest

from mirrord.cli.show.overview import Overview
from mirrord.cli.show.status import lines
from mirrord.daemon.health import Health
from mirrord.errors import Reason
from mirrord.events import ItemBlocked, ItemsUnchanged, ItemUnchanged, TransferFailed
from mirrord.model import Destination, Item, Options, Outcome, Schedule, State, origin_at
from mirrord.proxies import Proxy, UsedProxies
from mirrord.status import ProxyStatus, Status
from mirrord.testing import ManualClock

PROXY = Proxy.of("http://me:s3cret@proxy:3128")


def item(key: str, entry: str, store: str = "s") -> Item:
    at = Destination(store, "http://s", "bucket", key)
    return Item(id=at.item_id, entry=entry, origin=origin_at("http://h/x"), destination=at)


def test_a_store_is_down_from_a_store_fault_to_the_next_success() -> None:
    health = Health(ManualClock())
    one = item("a", "e")
    assert health.stores() == {}
    failed = TransferFailed(item=one, transfer_id="t", reason=Reason.STORE_UNAVAILABLE, message="refused", duration=1.0)
    health(failed)
    assert health.stores() == {"s": False}
    health(ItemUnchanged(item=one, store_answered=False))
    health(ItemsUnchanged(count=1, items=lambda: iter([one])))
    assert health.stores() == {"s": False}, "no request was sent to the store"
    health(ItemUnchanged(item=one))
    assert health.stores() == {"s": True}
    health(ItemBlocked(item=one, reason=Reason.SOURCE_MISSING, message="404"))
    assert health.stores() == {"s": True}


def test_a_store_that_was_only_listed_is_up() -> None:
    health = Health(ManualClock())
    health(ItemsUnchanged(count=1, items=lambda: iter([item("a", "e")])))
    assert health.stores() == {"s": True}


async def test_an_entry_is_as_stale_as_its_stalest_item() -> None:
    clock = ManualClock()
    health = Health(clock)
    first, second, other = item("a", "e"), item("b", "e"), item("c", "f")
    await health.track({one.id: one for one in (first, second, other)})
    await clock.advance(30)
    health(ItemUnchanged(item=first))
    assert health.staleness() == {"e": 30.0, "f": 30.0}
    health.ended_elsewhere(second, Outcome(state=State.RETRYING))
    assert health.staleness() == {"e": 30.0, "f": 30.0}
    health.ended_elsewhere(second, Outcome(state=State.SYNCED))
    await clock.advance(5)
    assert health.staleness() == {"e": 5.0, "f": 35.0}
    await health.track({first.id: first})
    assert health.staleness() == {"e": 5.0}


@pytest.mark.parametrize(
    "options",
    [
        Options(suspend=True),
        Options(stale_after=None),
        Options(schedule=Schedule(every=None)),
        Options(suspend=True, stale_after=60.0),
    ],
)
async def test_an_entry_that_is_not_checked_at_times_gets_no_staleness(options: Options) -> None:
    health = Health(ManualClock())
    one, other = replace(item("a", "e"), options=options), item("b", "f")
    await health.track({one.id: one, other.id: other})
    assert health.staleness() == {"f": 0.0}
    assert health.fresh_at(one.id) is not None
    on_demand = replace(one, options=Options(schedule=Schedule(every=None), stale_after=60.0))
    await health.track({one.id: on_demand})
    assert health.staleness() == {"e": 0.0}


def test_the_proxies_of_sources_and_stores_and_why_one_failed() -> None:
    sources = UsedProxies()
    health = Health(ManualClock(), {"sources": sources, "webhooks": UsedProxies()}, lambda: {"default": PROXY.shown})
    store = ProxyStatus(proxy="http://proxy:3128", used_by="store default")
    assert health.proxies() == (store,)
    sources.note(PROXY, "it does not answer")
    failed = ProxyStatus(
        proxy="http://proxy:3128", used_by="sources", network_policy="by proxy", problem="it does not answer"
    )
    assert health.proxies() == (failed, store)
    status = Status(version="1", pid=1, started=0.0, proxies=health.proxies())
    shown = [*lines(Overview(status=status, left=(), url="u"), 0.0)]
    assert "  http://proxy:3128  for sources, network policy: by proxy; it failed: it does not answer" in shown
    assert "  http://proxy:3128  for store default" in shown
    sources.note(PROXY)
    assert health.proxies()[0].problem == ""
