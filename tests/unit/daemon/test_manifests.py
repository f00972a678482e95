"""The manifests of a running daemon with a test clock: reads that agree, missing files, kept stores."""

from pathlib import Path

import pytest

from mirrord.daemon.manifests import AGREE_AFTER, GONE_AFTER, Manifests
from mirrord.events import Event, ManifestLoaded, ManifestRejected, ManifestRemoved
from mirrord.testing import AutoAdvancingClock

STORES = "stores: {one: {provider: generic, endpoint_url: 'http://s:1'}, two: {endpoint_url: 'http://t:1'}}\n"


class Told(list[Event]):
    def __call__(self, event: Event) -> None:
        self.append(event)

    def names(self) -> list[tuple[str, str]]:
        """Event and file name of each, from the last time on."""
        seen = [(one.name, Path(one.file).name) for one in self if isinstance(one, ManifestLoaded | ManifestRejected)]
        seen += [(one.name, Path(one.file).name) for one in self if isinstance(one, ManifestRemoved)]
        self.clear()
        return seen


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def clock() -> AutoAdvancingClock:
    return AutoAdvancingClock()


@pytest.fixture
def manifests(tmp_path: Path, clock: AutoAdvancingClock, told: Told) -> Manifests:
    return Manifests([str(tmp_path)], {}, clock, told)


def entry(key: str, store: str = "") -> str:
    return f"mirrors: [{{url: 'http://h/{key}', to: 's3://bucket/{key}'{f', store: {store}' if store else ''}}}]\n"


def keys(manifests: Manifests) -> list[str]:
    return [item.destination.key for item in manifests.current.expansion.items]


async def passed(manifests: Manifests, clock: AutoAdvancingClock, seconds: float) -> None:
    """Time with a look each second, as the daemon has it."""
    for _ in range(round(seconds)):
        await clock.sleep(1)
        await manifests.read()


async def test_a_half_written_file_that_is_complete_a_moment_later_is_not_used(
    tmp_path: Path, manifests: Manifests, clock: AutoAdvancingClock, told: Told
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(entry("x")[:-9])
    clock.meanwhile = lambda: file.write_text(entry("x"))
    assert await manifests.read()
    assert told.names() == [("manifest.loaded", "a.yaml")]
    assert keys(manifests) == ["x"]
    assert clock.monotonic() == pytest.approx(2 * AGREE_AFTER), "two reads had to agree"


async def test_a_file_that_changes_all_the_time_is_used_after_a_second(
    tmp_path: Path, manifests: Manifests, clock: AutoAdvancingClock
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(entry("x"))
    clock.meanwhile = lambda: file.write_text(file.read_text() + "# more\n")
    assert await manifests.read()
    assert keys(manifests) == ["x"]
    assert clock.monotonic() < 1.5


async def test_only_content_counts(tmp_path: Path, manifests: Manifests, told: Told) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(entry("x"))
    assert await manifests.read()
    file.unlink()
    file.write_text(entry("x"))
    assert not await manifests.read()
    assert await manifests.read(again=True)
    assert told.names() == [("manifest.loaded", "a.yaml")]


async def test_a_missing_file_is_in_force_for_ten_seconds_and_removed_once(
    tmp_path: Path, manifests: Manifests, clock: AutoAdvancingClock, told: Told
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(entry("x"))
    await manifests.read()
    file.unlink()
    await passed(manifests, clock, GONE_AFTER)
    assert keys(manifests) == ["x"]
    assert [one.valid for one in manifests.statuses()] == [False]
    await passed(manifests, clock, 1)
    assert keys(manifests) == []
    assert manifests.statuses() == ()
    await passed(manifests, clock, 3 * GONE_AFTER)
    assert told.names() == [("manifest.loaded", "a.yaml"), ("manifest.removed", "a.yaml")]


async def test_a_file_that_returns_within_ten_seconds_is_not_removed(
    tmp_path: Path, manifests: Manifests, clock: AutoAdvancingClock, told: Told
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(entry("x"))
    await manifests.read()
    for _ in range(3):
        file.unlink()
        await passed(manifests, clock, GONE_AFTER - 2)
        file.write_text(entry("x"))
        await passed(manifests, clock, 1)
        assert [one.valid for one in manifests.statuses()] == [True]
    assert told.names() == [("manifest.loaded", "a.yaml")]
    file.unlink()
    await passed(manifests, clock, 3)
    file.write_text(entry("y"))
    await passed(manifests, clock, 1)
    assert keys(manifests) == ["y"]


async def test_stores_of_a_removed_file_stay_while_other_files_use_them(
    tmp_path: Path, manifests: Manifests, clock: AutoAdvancingClock, told: Told
) -> None:
    stores = tmp_path / "a.yaml"
    stores.write_text(STORES + entry("own", "one"))
    (tmp_path / "b.yaml").write_text(entry("x", "two"))
    await manifests.read()
    assert keys(manifests) == ["own", "x"]
    told.clear()
    stores.unlink()
    await passed(manifests, clock, 5 * GONE_AFTER)
    assert told.names() == [("manifest.removed", "a.yaml")]
    assert keys(manifests) == ["x"]
    assert [Path(one.file).name for one in manifests.statuses()] == ["b.yaml"]
    # another file takes its entry, whose object is free
    (tmp_path / "c.yaml").write_text(entry("own", "one"))
    await manifests.read()
    assert keys(manifests) == ["x", "own"]
    (tmp_path / "c.yaml").write_text(entry("other", "one"))
    stores.write_text(STORES + entry("own", "one"))
    await manifests.read()
    assert keys(manifests) == ["own", "x", "other"]
    assert all(one.valid for one in manifests.statuses())


async def test_a_new_declaration_of_a_removed_files_store_replaces_it(
    tmp_path: Path, manifests: Manifests, clock: AutoAdvancingClock
) -> None:
    (tmp_path / "a.yaml").write_text(STORES)
    (tmp_path / "b.yaml").write_text(entry("x", "two"))
    await manifests.read()
    (tmp_path / "a.yaml").rename(tmp_path / "z.yaml")
    await passed(manifests, clock, GONE_AFTER + 2)
    assert keys(manifests) == ["x"]
    assert [(Path(one.file).name, one.valid) for one in manifests.statuses()] == [("b.yaml", True), ("z.yaml", True)]


async def test_a_file_named_twice_is_one_file(tmp_path: Path, clock: AutoAdvancingClock, told: Told) -> None:
    (tmp_path / "a.yaml").write_text(entry("x"))
    twice = Manifests([str(tmp_path), f"{tmp_path}/./a.yaml"], {}, clock, told)
    await twice.read()
    assert [one.valid for one in twice.statuses()] == [True]
