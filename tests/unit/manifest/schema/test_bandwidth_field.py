"""`daemon.bandwidth`: its forms, and the position of each fault."""

import pytest

from mirrord.errors import ManifestError
from mirrord.manifest.manifest import Manifest
from mirrord.model import UNLIMITED, BandwidthLimits, RateWindow
from mirrord.units import MiB


def read(text: str) -> BandwidthLimits:
    daemon = Manifest.parse("m.yaml", f"daemon:\n  bandwidth: {text}\n".encode(), {"RATE": "5MiB/s"}).document.daemon
    assert daemon is not None
    assert daemon.bandwidth is not None
    return daemon.bandwidth


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("20MiB/s", BandwidthLimits(default=20 * MiB)),
        ("1B/s", BandwidthLimits(default=1)),
        ("unlimited", UNLIMITED),
        ("${RATE}", BandwidthLimits(default=5 * MiB)),
        ("{}", UNLIMITED),
        ("{default: 1MiB/s}", BandwidthLimits(default=MiB)),
        (
            '{"08:00-18:00": 20MiB/s, default: unlimited, timezone: Europe/Berlin}',
            BandwidthLimits((RateWindow(480, 1080, 20 * MiB),), None, "Europe/Berlin"),
        ),
        ('{"22:00-06:00": unlimited, "06:00-22:00": "${RATE}"}', None),
        ('{"18:00-24:00": 1MiB/s}', BandwidthLimits((RateWindow(1080, 0, MiB),))),
        ('{"00:00-24:00": 1MiB/s}', BandwidthLimits((RateWindow(0, 0, MiB),))),
    ],
)
def test_the_forms(text: str, limits: BandwidthLimits | None) -> None:
    found = read(text)
    assert limits is None or found == limits


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("20", 'm.yaml:2:14: daemon.bandwidth: "20" is not a rate'),
        ("0B/s", 'm.yaml:2:14: daemon.bandwidth: "0B/s" is out of bounds'),
        ("[1MiB/s]", "m.yaml:2:14: is not a rate"),
        ('{"8-18": 1MiB/s}', 'm.yaml:2:15: "8-18" is not a time of day'),
        ('{"08:00-25:00": 1MiB/s}', "m.yaml:2:15: is not a time of day"),
        ('{"24:00-08:00": 1MiB/s}', "m.yaml:2:15: is not a time of day"),
        ('{"08:00-08:00": 1MiB/s}', 'm.yaml:2:15: "08:00-08:00" is empty'),
        ('{"08:00-18:00": fast}', 'm.yaml:2:30: "fast" is not a rate'),
        ("{default: 5}", 'm.yaml:2:24: "5" is not a rate'),
        ("{timezone: Mars/Olympus}", 'm.yaml:2:25: "Mars/Olympus" is not a time zone'),
        (
            '\n    "08:00-18:00": 1MiB/s\n    "17:59-20:00": 2MiB/s',
            'm.yaml:4:5: "17:59-20:00" overlaps 08:00-18:00; one time has one rate',
        ),
        ('\n    "22:00-06:00": 1MiB/s\n    "05:00-07:00": 2MiB/s', "m.yaml:4:5: "),
    ],
)
def test_a_fault_has_its_own_position(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(text)
    (problem,) = caught.value.problems
    at, _, expected = message.partition(" ")
    assert str(problem).startswith(at)
    assert expected.rpartition("bandwidth: ")[2] in str(problem)


def test_all_faults_are_reported_at_once_and_windows_that_touch_do_not_overlap() -> None:
    with pytest.raises(ManifestError) as caught:
        read('{"08:00-18:00": fast, "1-2": slow, timezone: no where}')
    assert len(caught.value.problems) == 4
    read('{"08:00-18:00": 1MiB/s, "18:00-08:00": 2MiB/s}')
