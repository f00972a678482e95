"""The README is correct: its commands run as printed, its lists agree with the code, the targets of its links exist.

`tests.support.fences` has the marks of fences.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mirrord.cli import exits
from mirrord.cli import main as command_line
from mirrord.manifest.load import parse
from tests.support import reference
from tests.support.command import environment
from tests.support.fences import Fence, fences_of, run_page, shell
from tests.support.weed import Server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


FENCES = fences_of(README)


def fences(language: str, marks: str) -> list[Fence]:
    found = [fence for fence in FENCES if fence.language == language and re.fullmatch(marks, fence.marks)]
    assert found, f"no {language} fence is marked {marks}"
    return found


async def test_the_commands_run_as_printed(tmp_path: Path) -> None:
    await run_page(README, tmp_path)


async def test_the_program_runs_as_printed(tmp_path: Path, weed: Server, s3_client: Any) -> None:
    s3_client.create_bucket(Bucket="datasets")
    for fence in fences("python", "tested"):
        (tmp_path / "program.py").write_text(fence.body)
        env = environment(tmp_path) | {
            "MINIO_SERVER_URL": weed.endpoint_url,
            "MINIO_ROOT_USER": weed.access_key_id,
            "MINIO_ROOT_PASSWORD": weed.secret_access_key,
        }
        code, output = await shell(f"{sys.executable} program.py", tmp_path, env)
        assert code == 0, output
    assert s3_client.get_object(Bucket="datasets", Key="hello.txt")["Body"].read() == b"hello"
    assert s3_client.get_object(Bucket="datasets", Key="large.bin")["Body"].read() == b"x" * 12_000_000
    s3_client.delete_bucket(Bucket="datasets")


def example_manifests() -> dict[str, str]:
    """Every manifest in the pages and in configs/examples."""
    shown = {path.name: path.read_text() for path in sorted((ROOT / "configs" / "examples").glob("*.yaml"))}
    for page in PAGES:
        for number, fence in enumerate(fences_of(page.read_text())):
            if fence.language == "yaml" and fence.marks not in ("kubernetes", "helm"):
                shown[f"{page.name} {number}"] = fence.body
    return shown


@pytest.mark.parametrize(("name", "text"), example_manifests().items(), ids=example_manifests())
def test_a_manifest_that_is_shown_is_valid(name: str, text: str) -> None:
    assert parse(name, text.encode(), {}, allow_unset=True).document.mirrors or "folders" in text


def test_every_make_goal_of_the_readme_exists() -> None:
    goals = [command for fence in fences("console", "") for command, _ in fence.commands]
    assert all(goal.startswith("make ") for goal in goals), "mark a fence with other commands as tested"
    for goal in goals:
        done = subprocess.run(
            ["make", "--dry-run", *goal.split()[1:]],
            cwd=ROOT,
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr


def test_the_commands_listed_are_those_that_exist() -> None:
    listed = re.findall(r"^\| `mirrord (\w+)", README, re.MULTILINE)
    assert set(listed) == set(command_line._COMMANDS)


def test_the_exit_codes_listed_are_those_of_the_command_line() -> None:
    listed = [int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)]
    assert listed == list(exits.MEANINGS)


@pytest.mark.parametrize("name", reference.TABLES)
def test_a_list_made_from_the_schema_is_up_to_date(name: str) -> None:
    found = reference.between(name).findall(reference.TABLES[name][0].read_text())
    assert found == [reference.table(name)], "run `python -m tests.support.reference`"


def test_every_guarantee_has_its_status() -> None:
    section = README.split("## Guarantees", 1)[1].split("\n## ", 1)[0]
    guarantees = re.split(r"^(\d+)\. ", section, flags=re.MULTILINE)[1:]
    assert [int(number) for number in guarantees[::2]] == list(range(1, 11))
    assert all(re.search(r"\*(Holds|In\s+part|To\s+come)\b", text) for text in guarantees[1::2])


def test_its_size_and_the_note_on_the_shared_name() -> None:
    assert len(README.splitlines()) < 200
    assert "not the Kubernetes debugging tool of the same name" in README
    assert len((ROOT / "docs" / "architecture.md").read_text().splitlines()) < 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_of_links_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link.partition("#")[0]).exists(), link
