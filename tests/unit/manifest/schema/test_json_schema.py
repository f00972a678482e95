"""The JSON Schema accepts what the loader accepts, and describes each field."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrord.manifest.manifest import load_all
from mirrord.manifest.schema.json_schema import json_schema
from tests.support.json_schemas import validator

SCHEMA = json_schema()
EXAMPLES = sorted((Path(__file__).parents[4] / "configs" / "examples").glob("*.yaml"))


def complaints(text: str) -> list[str]:
    document = yaml.safe_load(text)
    return [f"{error.json_path}: {error.message}" for error in validator(SCHEMA).iter_errors(document)]


def test_it_is_a_schema() -> None:
    validator(SCHEMA).check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize("file", [*EXAMPLES, Path(__file__).with_name("full_form.yaml")], ids=lambda file: file.name)
def test_it_accepts_the_full_form_and_every_example(file: Path) -> None:
    assert complaints(file.read_text()) == []


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_loader_accepts_every_example(file: Path) -> None:
    assert load_all([str(file)], {}, allow_unset=True).problems == ()


@pytest.mark.parametrize(
    "text",
    [
        "mirrors: {https://h/x: s3://bbb/x, https://h/y: {to: s3://bbb/y, every: never}, https://h/z: '${TO}'}",
        "daemon: {transfers: '${N}', memory_limit: 33554432, bandwidth: 1MiB/s}",
        "mirrors: [{url: '${URL}', to: '${TO}', suspend: '${X}', drift: '${D}', every: '${E}', prune: {max: '${P}'}}]",
        "mirrors:\nstores:\ndefaults:\n",
        "folders: [{path: a, to: s3://bbb/, after_upload: {move: b}}, {path: b, to: s3://bbb/c/, after_upload: keep}]",
        "mirrors: [{urls: [https://h/x], to: s3://bbb/x, checksum: {url: https://h/SUMS}, upload: {part_size: auto}}]",
    ],
)
def test_it_accepts(text: str) -> None:
    assert complaints(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "mirors: []",
        "daemon: {transfers: many}",
        "mirrors: [{url: https://h/x}]",
        "mirrors: {https://h/x: bbb/x}",
        "mirrors: {https://h/x: {to: s3://bbb/x, url: https://h/x}}",
        "mirrors: [{url: https://h/x, to: s3://bbb/x, drift: repairs}]",
        "folders: [{path: a, to: s3://bbb/, after_upload: {}}]",
        "stores: {x: {provider: mino}}",
    ],
)
def test_it_refuses(text: str) -> None:
    assert complaints(text)


def fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for model, body in {**schema["$defs"], "": schema}.items():
        for name, field in body["properties"].items():
            yield f"{model}.{name}", field


def test_every_field_has_a_description() -> None:
    assert [name for name, field in fields(SCHEMA) if not field.get("description")] == []


def test_defaults_are_written_as_people_write_them() -> None:
    defaults = {name: field["default"] for name, field in fields(SCHEMA) if "default" in field}
    assert defaults["MirrorSection.every"] == "1h"
    assert defaults["DaemonSection.memory_limit"] == "256MiB"
    assert defaults["HttpSection.min_rate"] == "1KiB/s"
    assert defaults["FolderSection.after_upload"] == "keep"
    assert defaults["MirrorSection.prune"] is False
    assert defaults["FolderSection.settle"] == "2s"
    assert defaults["UploadSection.part_size"] == "auto"
