"""The messages that a service manager reads from NOTIFY_SOCKET; a datagram socket replaces it."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from mirrord.daemon.systemd import Notifier, keep_watchdog
from mirrord.testing import ManualClock


class Manager:
    """The other end: what it was told, message by message."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": address}

    def told(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(65536).decode())
            except BlockingIOError:
                return messages


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = f"@mirrord-test-{uuid4().hex}" if request.param == "abstract" else str(tmp_path / "notify")
    manager = Manager(address)
    yield manager
    manager.socket.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_the_messages_from_start_to_stop(manager: Manager) -> None:
    notifier = Notifier(manager.environ)
    notifier.ready("serving at http://127.0.0.1:8420")
    notifier.status("3 Synced")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.ready()
    notifier.stopping("2 transfers end")
    ready, status, reloading, again, stopping = manager.told()
    assert ready == "READY=1\nSTATUS=serving at http://127.0.0.1:8420"
    assert status == "STATUS=3 Synced"
    name, _, microseconds = reloading.partition("\n")[2].partition("=")
    assert reloading.startswith("RELOADING=1\n")
    assert name == "MONOTONIC_USEC"
    assert before <= int(microseconds) <= after
    assert again == "READY=1"
    assert stopping == "STOPPING=1\nSTATUS=2 transfers end"


def test_a_status_is_one_line_and_no_other_message(manager: Manager) -> None:
    Notifier(manager.environ).status("a\nSTOPPING=1\n\tb" + "c" * 5000)
    (told,) = manager.told()
    assert told.startswith("STATUS=a STOPPING=1 bc")
    assert "\n" not in told
    assert len(told) < 1100


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234"])
def test_without_a_socket_nothing_is_sent(address: str, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"})
    notifier.ready()
    notifier.reloading()
    notifier.stopping()
    assert notifier.watchdog_interval is None
    assert Notifier({}).watchdog_interval is None
    assert not caplog.records


def test_a_missing_manager_is_logged_once_and_has_no_effect(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notifier.ready()
    notifier.stopping()
    assert [one.getMessage() for one in caplog.records] == [
        "systemd cannot be told ([Errno 2] No such file or directory): READY=1"
    ]


def test_a_manager_that_does_not_read_delays_nothing(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    notifier = Notifier(manager.environ)
    manager.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    began = time.monotonic()
    try:
        for _ in range(3):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as flood:
                flood.setblocking(False)
                flood.connect(manager.environ["NOTIFY_SOCKET"])
                while True:
                    try:
                        flood.send(b"x" * 1000)
                    except BlockingIOError:
                        break
            notifier.status("busy")
    finally:
        manager.socket.close()
    assert time.monotonic() - began < 60


# ── watchdog ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "x"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_whether_there_is_a_watchdog(environ: dict[str, str], expected: float | None) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/run/notify", **environ}).watchdog_interval == expected


async def test_the_watchdog_is_notified_twice_within_its_deadline_without_problems(
    manager: Manager, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier({**manager.environ, "WATCHDOG_USEC": "30000000"})
    problem: str | None = None
    feeding = asyncio.create_task(keep_watchdog(notifier, lambda: problem, clock))
    await clock.advance(44)
    assert manager.told() == ["WATCHDOG=1"] * 3
    problem = "queue: KeyError"
    await clock.advance(60)
    assert manager.told() == []
    (said,) = caplog.records
    assert "queue: KeyError" in said.getMessage()
    problem = None
    await clock.advance(15)
    assert manager.told() == ["WATCHDOG=1"]
    feeding.cancel()
    await asyncio.wait([feeding])


async def test_without_a_watchdog_nothing_is_sent(manager: Manager, clock: ManualClock) -> None:
    await asyncio.wait_for(keep_watchdog(Notifier(manager.environ), lambda: None, clock), 5)
    assert manager.told() == []
