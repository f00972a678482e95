"""The file of what `doctor --store` measured."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mirrord.engine.measured_stores import MeasuredStores, keep_measured, measured_stores
from mirrord.providers.measured import KEPT_FOR, MeasuredFacts

ONE = MeasuredFacts("SeaweedFS 4.48", 1000.0, (("checksums", ("md5",)), ("equal_parts", False), ("max_parts", 1_000)))


def test_what_was_kept_is_read_for_thirty_days(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    keep_measured(directory, "http://one", ONE)
    other = MeasuredFacts("", 2000.0, (("tags", "kept"),))
    keep_measured(directory, "http://other", other)
    assert measured_stores(directory, 2000.0) == {"http://one": ONE, "http://other": other}
    assert measured_stores(directory, 1000.0 + KEPT_FOR) == {"http://other": other}
    assert measured_stores(directory, 999.0) == {}
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "measured.json").stat().st_mode & 0o777 == 0o600
    assert [one.name for one in directory.iterdir()] == ["measured.json"]


def test_a_later_measurement_replaces_an_earlier_one(tmp_path: Path) -> None:
    keep_measured(tmp_path, "http://one", ONE)
    later = MeasuredFacts("SeaweedFS 4.49", 2000.0, (("tags", "kept"),))
    keep_measured(tmp_path, "http://one", later)
    assert measured_stores(tmp_path, 2000.0) == {"http://one": later}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 1}',
        '{"version": 2, "stores": {"a": {}}}',
        '{"version": 1, "stores": []}',
        '{"version": 1, "stores": {"a": {"server": "", "when": "x", "values": {}}}}',
        '{"version": 1, "stores": {"a": {"server": "", "when": 1, "values": []}}}',
        '{"version": 1, "stores": {"a": {"server": "", "when": 1, "values": {"tags": null}}}}',
        '{"version": 1, "stores": {"a": 5}}',
    ],
)
def test_a_file_that_cannot_be_read_counts_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "measured.json").write_text(text)
    assert measured_stores(tmp_path, 1000.0) == {}
    keep_measured(tmp_path, "http://one", ONE)
    assert measured_stores(tmp_path, 1000.0) == {"http://one": ONE}


def test_no_file_is_no_measurement(tmp_path: Path) -> None:
    assert measured_stores(tmp_path / "no", 1000.0) == {}


def test_runs_at_the_same_time_lose_nothing_of_each_other(tmp_path: Path) -> None:
    runs = 16
    barrier = threading.Barrier(runs)

    def keep(number: int) -> None:
        barrier.wait()
        keep_measured(tmp_path, f"http://{number}", ONE)

    with ThreadPoolExecutor(runs) as pool:
        list(pool.map(keep, range(runs)))
    assert measured_stores(tmp_path, 1000.0) == {f"http://{number}": ONE for number in range(runs)}
    assert [one.name for one in tmp_path.iterdir()] == ["measured.json"]


def test_the_content_is_on_the_disk_before_the_file_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power failure the file has the former content or the new one: fsync, rename, fsync of the directory."""
    sync, seen = os.fsync, list[tuple[bool, dict[str, MeasuredFacts]]]()

    def recorded(descriptor: int) -> None:
        is_directory = os.path.samestat(os.fstat(descriptor), tmp_path.stat())
        seen.append((is_directory, dict(measured_stores(tmp_path, 1000.0))))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    keep_measured(tmp_path, "http://one", ONE)
    assert seen == [(False, {}), (True, {"http://one": ONE})]


def test_a_process_follows_the_file(tmp_path: Path) -> None:
    followed = MeasuredStores(tmp_path)
    assert followed.changed(1000.0)
    assert not followed.changed(1001.0)
    keep_measured(tmp_path, "http://one", ONE)
    assert followed.at("http://one") is None
    assert followed.changed(1002.0)
    assert not followed.changed(1003.0)
    assert (followed.at("http://one"), followed.at("http://two")) == (ONE, None)
    keep_measured(tmp_path, "http://two", replace(ONE, when=2000.0))
    assert followed.changed(2000.0)
    assert not followed.changed(ONE.when + KEPT_FOR - 1)
    assert followed.changed(ONE.when + KEPT_FOR), "the first is too old, although the file is the same"
    assert followed.at("http://one") is None
    assert followed.at("http://two") is not None
