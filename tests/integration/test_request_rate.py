"""`daemon.per_host.requests_per_second` with the real command, by the clock of the origin.

Only least times are tested: they follow from the rate, and not from the speed of the machine.
"""

from pathlib import Path
from typing import Any

from tests.support.command import mirrord
from tests.support.origin import Origin, redirects
from tests.support.syncing import manifest
from tests.support.weed import Server

ITEMS, RATE = 50, 10
LATE = 0.2
"""Seconds that a request may arrive later than it was sent, so that it seems closer to the next one."""


async def test_a_plan_does_not_wait_for_one_host_before_it_asks_the_others(
    tmp_path: Path, weed: Server, bucket: str, origin: Origin
) -> None:
    urls = [origin.publish(f"/{number}", b"x") for number in range(20)]
    other = origin.publish("/other", b"z").replace("127.0.0.1", "localhost")
    mirrors = "".join(f"  {url}: s3://{bucket}/{number}\n" for number, url in enumerate([*urls, other]))
    block = f"daemon: {{transfers: 2, per_host: {{requests_per_second: {RATE}}}}}\n"
    done = await mirrord("plan", str(manifest(tmp_path, weed, f"{block}mirrors:\n{mirrors}")), home=tmp_path)
    assert done.code == 0, done.output
    assert "21 to copy" in done.output
    (at_other,) = origin.asked("/other")
    times = sorted(one.at for one in origin.log if one is not at_other)
    assert at_other.at - times[0] < 0.5 * 19 / RATE
    assert times[-1] - times[0] >= 19 / RATE - LATE


async def test_no_second_has_more_requests_than_the_rate(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    urls = [origin.publish(f"/{number}", b"x") for number in range(ITEMS - 5)]
    for number in range(5):  # two requests each
        origin.behave(f"/r{number}", redirects(origin.publish(f"/to{number}", b"y")))
        urls.append(origin.url(f"/r{number}"))
    other = origin.publish("/other", b"z").replace("127.0.0.1", "localhost")  # another host by its name
    mirrors = "".join(f"  {url}: s3://{bucket}/{number}\n" for number, url in enumerate([*urls, other]))
    block = f"daemon: {{transfers: 4, per_host: {{requests_per_second: {RATE}}}}}\n"
    file = manifest(tmp_path, weed, f"{block}mirrors:\n{mirrors}")
    done = await mirrord("sync", str(file), home=tmp_path)
    assert done.code == 0, done.output
    assert len(s3_client.list_objects_v2(Bucket=bucket)["Contents"]) == ITEMS + 1

    first = min(one.at for one in origin.log)
    (at_other,) = origin.asked("/other")
    assert at_other.at - first < (ITEMS - 1) / RATE / 2, "the other host does not wait for this one"
    times = sorted(one.at for one in origin.log if one is not at_other)
    assert len(times) == ITEMS + 5
    window = RATE + 1  # requests whose first and last are a second apart
    assert all(times[n + window - 1] - times[n] >= 1.0 - LATE for n in range(len(times) - window + 1))
    assert times[-1] - times[0] >= (len(times) - 1) / RATE - LATE
    assert "Retrying" not in done.output
    assert "retrying" not in done.output
