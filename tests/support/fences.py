"""The fences of a page: its manifests, and its commands with their output.

`yaml file=NAME` is written to NAME. `console tested` is run line by line in one directory: `# exits N` after a command
is its exit code, else 0; its output must contain the lines below it in this order, where `…` matches anything.
`python tested` is run as a program with the test store. `yaml kubernetes` and `yaml helm` (values of
the chart) are no manifests of mirrord.
"""

import asyncio
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.command import environment

_FENCE = re.compile(r"^```(?P<language>\w+)(?: (?P<marks>[^\n]*))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND_SECONDS = 120


@dataclass(frozen=True)
class Fence:
    language: str
    marks: str
    body: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command with a pattern of its output."""
        blocks = re.split(r"^\$ ", self.body, flags=re.MULTILINE)
        assert not blocks[0], "a console fence begins with a command"
        lines = [block.splitlines() for block in blocks[1:]]
        return [(first, ".*".join(map(_pattern, output))) for first, *output in lines]


def fences_of(page: str) -> list[Fence]:
    return [Fence(found["language"], found["marks"] or "", found["body"]) for found in _FENCE.finditer(page)]


async def run_page(page: str, cwd: Path) -> None:
    """Write the page's files to `cwd` and run its tested commands there. Asserts exit codes and output."""
    env = environment(cwd / "home")
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    fences = fences_of(page)
    for fence in fences:
        if fence.marks.startswith("file="):
            (cwd / fence.marks.removeprefix("file=")).write_text(fence.body)
    tested = [fence for fence in fences if (fence.language, fence.marks) == ("console", "tested")]
    assert tested, "no console fence is marked tested"
    for command, expected in (pair for fence in tested for pair in fence.commands):
        code, output = await shell(command, cwd, env)
        assert code == _exit_code(command), f"$ {command}\n{output}"
        assert re.search(expected, output, re.MULTILINE | re.DOTALL), f"$ {command}\n{output}"


async def shell(command: str, cwd: Path, env: dict[str, str]) -> tuple[int, str]:
    """Exit code and output, both streams together."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", command, cwd=cwd, env=env, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), _COMMAND_SECONDS)
    return process.returncode or 0, out.decode()


def _pattern(line: str) -> str:
    return "^" + re.escape(line).replace("…", ".*") + "$"


def _exit_code(command: str) -> int:
    found = re.search(r"# exits (\d+)$", command)
    return int(found[1]) if found else 0
