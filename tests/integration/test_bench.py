"""The harness of `make bench`, with one tiny scenario: runs, counts at the sink, ratios and the table for the docs."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from mirrord.units import KiB
from tests.bench.docs import filled, merged
from tests.bench.measure import Measured, measured
from tests.bench.run import document_of, result_of
from tests.bench.scenarios import Scenario, StoreKind, Target
from tests.bench.servers import store
from tests.bench.tables import figures, page
from tests.bench.tools import MIRRORD
from tests.bench.wire_candidates import costs, table
from tests.support.weed import Server

COUNT = 7
OTHER = replace(MIRRORD, name="the same again")
MISSING = replace(MIRRORD, name="not there", command=lambda _: [""])


def test_a_scenario_gives_counts_ratios_and_a_table(tmp_path: Path) -> None:
    scenario = Scenario("upload", 4 * KiB, COUNT, StoreKind.SINK, {OTHER: Target(1e9, 0.0), MISSING: Target()})
    result = result_of(scenario, tmp_path, pairs=1, tools=[OTHER.name, MISSING.name])
    ours, other, missing = result["tools"]
    for tool in (ours, other):
        assert not tool["error"]
        (run,) = tool["runs"]
        assert run["received"] == COUNT * 4 * KiB
        assert run["calls"]["PutObject"] == COUNT
        assert run["cpu_s"] > 0
        assert figures(tool)["calls"] == sum(run["calls"].values())
    assert missing["error"] == "not installed"
    written = json.loads(json.dumps(document_of([result], 1)))
    assert merged([document_of([{**result, "tools": []}], 3), written]) == written
    text = filled("<!-- bench -->old<!-- /bench --> rest", page(written))
    assert "old" not in text
    assert text.endswith("<!-- /bench --> rest")
    (row,) = [line for line in text.splitlines() if line.startswith("|  | the same again |")]
    assert "(≤ 0.0) | **not met** |" in row
    assert "not installed" in text


def test_a_result_without_all_bytes_does_not_count(tmp_path: Path) -> None:
    nothing = replace(MIRRORD, name="does nothing", command=lambda _: ["/bin/true"])
    scenario = Scenario("upload", 4 * KiB, COUNT, StoreKind.SINK, {nothing: Target()})
    results: list[Measured] = list(measured(scenario, tmp_path, 1, only=[nothing]))
    assert results[0].error == f"0 bytes arrived instead of {COUNT * 4 * KiB}"
    assert results[0].runs == []


def test_a_page_without_markers_is_an_error() -> None:
    with pytest.raises(ValueError, match="no <!-- bench"):
        filled("no markers", "")


def test_the_sink_answers_as_a_store() -> None:
    with store(StoreKind.SINK) as sink:
        client = Server(sink.endpoint).client()
        for key in ("a/1", "a/2", "b"):
            client.put_object(Bucket="bucket", Key=key, Body=b"x", Metadata={"n": key})
        with pytest.raises(ClientError, match="BadDigest"):
            client.put_object(Bucket="bucket", Key="c", Body=b"x", ContentMD5=base64.b64encode(bytes(16)).decode())
        page = client.list_objects_v2(Bucket="bucket", Delimiter="/")
        assert [one["Key"] for one in page["Contents"]] == ["b"]
        assert [one["Prefix"] for one in page["CommonPrefixes"]] == ["a/"]
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="bucket", PaginationConfig={"PageSize": 2})
        assert [[one["Key"] for one in page["Contents"]] for page in pages] == [["a/1", "a/2"], ["b"]]
        head = client.head_object(Bucket="bucket", Key="a/2", ChecksumMode="ENABLED")
        assert (head["ContentLength"], head["Metadata"]) == (1, {"n": "a/2"})
        upload = client.create_multipart_upload(Bucket="bucket", Key="d")["UploadId"]
        at = {"Bucket": "bucket", "Key": "d", "UploadId": upload}
        parts = [client.upload_part(**at, PartNumber=number, Body=b"y" * 1000) for number in (1, 2)]
        listed = [{"PartNumber": number, "ETag": part["ETag"]} for number, part in enumerate(parts, 1)]
        client.complete_multipart_upload(**at, MultipartUpload={"Parts": listed})
        whole = client.put_object(Bucket="bucket", Key="e", Body=b"y" * 2000)["ChecksumCRC64NVME"]
        head = client.head_object(Bucket="bucket", Key="d", ChecksumMode="ENABLED")
        assert (head["ContentLength"], head["ChecksumCRC64NVME"]) == (2000, whole)
        assert (sink.counts() or {})["bytes"] == 3 + 1 + 2000 + 2000
        client.close()


def test_the_candidates_for_the_frequent_calls_are_measured() -> None:
    with store(StoreKind.ECHO) as sink:
        found = costs(["own"], sink, objects=3, mib=8, rounds=1)
    seen = {"own": {"hang": "closed", "stall": "closed", "early": "reported"}}
    assert "| s CPU a GiB | " in table(found, seen)
