"""Events that do not follow from a record alone become notifications."""

import json

from mirrord.daemon.announcer import Announcer
from mirrord.errors import Problem, Reason
from mirrord.events import ItemChanged, ItemDrifted, ManifestRejected, TransferFailed
from mirrord.model import Notice, Notification, State
from mirrord.testing import ManualClock, MemoryJournal
from tests.support.scripted_control import item_of

ITEM = item_of("k", "https://me:PW@h.example/k?sig=TOKEN")


async def written(*events: object) -> list[Notification]:
    journal, found = MemoryJournal(), list[Notification]()
    await journal.outbox.send_to({"r": set(Notice)})
    announcer = Announcer(journal.outbox, ManualClock(5.0))
    for event in events:
        announcer(event)
    await journal.outbox.flush()
    while rows := await journal.outbox.due("r", 2e9, 1):
        found += [row.notification for row in rows]
        await journal.outbox.delivered(rows)
    return found


async def test_a_failed_transfer_is_announced_without_secrets() -> None:
    failed = TransferFailed(
        item=ITEM, transfer_id="t", reason=Reason.STORE_DENIED, message="no", duration=1.0, retry_in=2.0
    )
    (one,) = await written(failed)
    assert (one.name, one.about, one.subject, one.time) == ("transfer.failed", ITEM.id, "s3://mirror/k", 5.0)
    data = json.loads(one.data)
    assert (data["reason"], data["retry_in_s"], data["attempt"]) == ("StoreDenied", 2.0, 1)
    assert "PW" not in one.data
    assert "TOKEN" not in one.data


async def test_drift_is_announced_once_until_the_item_is_synced() -> None:
    drifted, synced = ItemDrifted(item=ITEM, message="it was deleted"), ItemChanged(item=ITEM, state=State.SYNCED)
    blocked = ItemChanged(item=ITEM, state=State.BLOCKED)
    assert len(await written(drifted, blocked, drifted)) == 1
    assert len(await written(drifted, synced, drifted)) == 2


async def test_a_rejected_manifest_is_announced_with_its_problems() -> None:
    (one,) = await written(ManifestRejected(file="m.yaml", problems=(Problem("m.yaml", 1, 2, "x", "wrong"),)))
    assert (one.name, one.about, one.subject) == ("manifest.rejected", "m.yaml", "m.yaml")
    assert json.loads(one.data)["problems"] == [str(Problem("m.yaml", 1, 2, "x", "wrong"))]
