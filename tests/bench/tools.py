"""The tools that the bench compares: how each is called for a kind of source, and which integrity work it does.

Peers come from an environment of their own (`make .venv-bench`, tests/bench/requirements.txt). Each tool runs with its
defaults and its normal output, mirrord with a lower `memory_limit` and `settle`.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mirrord._version import __version__
from tests.bench.tls import PEM

REPOSITORY = Path(__file__).resolve().parents[2]
KEYS = {
    "AWS_ACCESS_KEY_ID": "test-access-key",
    "AWS_SECRET_ACCESS_KEY": "test-secret-key",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
_CRT_UPLOAD = Path(__file__).with_name("crt_upload.py")
MEMORY_LIMIT = "64MiB"
SETTLE = "10ms"
"""mirrord's check that a file does not grow any more, which no peer makes; its default is 2 s of waiting a pass."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied: the files of `directory`, which `origin` serves too, if it is set."""

    directory: Path
    names: Sequence[str]
    size: int
    """Bytes of each file."""
    origin: str = ""
    """URL of the directory."""

    @property
    def total(self) -> int:
        return self.size * len(self.names)


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a tool: from `source` into `bucket`; `home` is for files that the tool keeps between runs."""

    source: Source
    endpoint: str
    bucket: str
    home: Path


@dataclass(frozen=True, slots=True)
class Tool:
    """`command`: the arguments for a job; None: the tool cannot do this. `integrity`: what it verifies, and how."""

    name: str
    integrity: str
    command: Callable[[Job], Sequence[str] | None]
    version: Callable[[], str]


def environment(job: Job) -> dict[str, str]:
    """The variables of every tool. SSL_CERT_FILE: Python and Go trust the bench's certificate by it."""
    store = {"TYPE": "s3", "PROVIDER": "SeaweedFS", "ENV_AUTH": "true", "ENDPOINT": job.endpoint, "REGION": "us-east-1"}
    rclone = {f"RCLONE_CONFIG_STORE_{name}": value for name, value in store.items()}
    aws = {"AWS_ENDPOINT_URL": job.endpoint, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CA_BUNDLE": str(PEM)}
    path = {"PATH": os.environ["PATH"], "HOME": str(job.home), "SSL_CERT_FILE": str(PEM)}
    return {**path, **KEYS, **aws, **rclone}


# ── mirrord ───────────────────────────────────────────────────────────────────────────────────────
def _mirrord(job: Job, **store: Any) -> Sequence[str]:
    where = {"provider": "seaweedfs", "endpoint_url": job.endpoint, "region": "us-east-1", "addressing": "path"}
    to = f"s3://{job.bucket}/"
    entries: dict[str, Any] = {"folders": [{"path": str(job.source.directory), "to": to, "settle": SETTLE}]}
    if job.source.origin:
        entries = {"mirrors": {f"{job.source.origin}/{name}": f"{to}{name}" for name in job.source.names}}
    daemon = {"memory_limit": MEMORY_LIMIT}
    file = job.home / "manifest.yaml"
    file.write_text(json.dumps({"daemon": daemon, "stores": {"default": {**where, **store}}, **entries}))
    return [sys.executable, "-m", "mirrord", "sync", "--state", str(job.home / "state"), str(file)]


def _mirrord_64(job: Job) -> Sequence[str]:
    return [*_mirrord(job), "--transfers", "64"]


def _parity(job: Job) -> Sequence[str]:
    return _mirrord(job, checksum="md5", payload_signing="always")


def profiled(output: Path) -> Tool:
    """mirrord with a profiler, which writes to `output`: see `tests.bench.profiled`."""

    def command(job: Job) -> Sequence[str]:
        python, _, _, *arguments = _mirrord(job)
        return [python, "-m", "tests.bench.profiled", str(output), *arguments]

    return replace(MIRRORD, name="profile", command=command)


# ── peers ─────────────────────────────────────────────────────────────────────────────────────────
def peer(name: str) -> str:
    """The path of a peer's program: in `.venv-bench` (or MIRRORD_BENCH_ENV), else on PATH; empty if it is missing."""
    return shutil.which(name, path=peer_programs()) or shutil.which(name) or ""


def peer_programs() -> str:
    """The directory of the peers' programs."""
    return f"{_environment()}/bin"


def _environment() -> str:
    return os.environ.get("MIRRORD_BENCH_ENV", str(REPOSITORY / ".venv-bench"))


def _s5cmd(job: Job) -> Sequence[str] | None:
    return None if job.source.origin else _s5cmd_command("cp", job)


def _s5cmd_sync(job: Job) -> Sequence[str] | None:
    return None if job.source.origin else _s5cmd_command("sync", job)


def _s5cmd_command(name: str, job: Job) -> Sequence[str]:
    program = [peer("s5cmd"), f"--endpoint-url={job.endpoint}", name]
    return [*program, f"{job.source.directory}/", f"s3://{job.bucket}/"]


def _rclone(job: Job) -> Sequence[str]:
    program = [peer("rclone"), "--config=/dev/null"]
    if not job.source.origin:
        return [*program, "copy", str(job.source.directory), f"store:{job.bucket}"]
    if len(job.source.names) == 1:
        return [
            *program,
            "copyurl",
            "--auto-filename",
            f"{job.source.origin}/{job.source.names[0]}",
            f"store:{job.bucket}",
        ]
    file = job.home / "urls.csv"
    file.write_text("".join(f"{job.source.origin}/{name},{name}\n" for name in job.source.names))
    return [*program, "copyurl", "--urls", str(file), f"store:{job.bucket}"]


def _rclone_16(job: Job) -> Sequence[str]:
    return [*_rclone(job), "--transfers=16", "--checkers=16"]


def _aws(job: Job) -> Sequence[str] | None:
    where = [str(job.source.directory), f"s3://{job.bucket}/"]
    return None if job.source.origin else [peer("aws"), "s3", "cp", "--recursive", "--only-show-errors", *where]


def _crt(job: Job) -> Sequence[str] | None:
    """The program of this file in the environment of the peers, if s3transfer is there."""
    python = f"{_environment()}/bin/python"
    known = any(Path(_environment()).glob("lib/python*/site-packages/s3transfer"))
    return [python if known else "", str(_CRT_UPLOAD), str(job.source.directory), job.bucket]


def _crt_version() -> str:
    known = sorted(Path(_environment()).glob("lib/python*/site-packages/awscrt-*.dist-info"))
    return known[-1].name.removesuffix(".dist-info") if known else "not installed"


def _version(name: str, *arguments: str) -> Callable[[], str]:
    def version() -> str:
        if not peer(name):
            return "not installed"
        done = subprocess.run([peer(name), *arguments], capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).split("\n")[0].strip()

    return version


MIRRORD = Tool("mirrord sync", "full-object CRC64NVME, which the store verifies", _mirrord, lambda: __version__)
MIRRORD_64 = Tool("mirrord sync, 64 transfers", MIRRORD.integrity, _mirrord_64, MIRRORD.version)
PARITY = Tool("mirrord sync (parity)", "MD5, and a signed SHA-256 a request", _parity, lambda: __version__)
S5CMD = Tool("s5cmd cp", "MD5, and a signed SHA-256 a request", _s5cmd, _version("s5cmd", "version"))
S5CMD_SYNC = Tool("s5cmd sync", "size and time of one listing", _s5cmd_sync, S5CMD.version)
RCLONE = Tool("rclone copy", "MD5, a signed SHA-256 a part, a HEAD an object", _rclone, _version("rclone", "version"))
RCLONE_URL = Tool("rclone copyurl", RCLONE.integrity, _rclone, RCLONE.version)
RCLONE_16 = Tool("rclone copyurl, 16 transfers", RCLONE_URL.integrity, _rclone_16, RCLONE.version)
AWS = Tool("aws s3 cp", "CRC32, and a signed SHA-256 a request", _aws, _version("aws", "--version"))
CRT = Tool("s3transfer (CRT)", "CRC32 in a trailer", _crt, _crt_version)
TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (MIRRORD, MIRRORD_64, PARITY, S5CMD, S5CMD_SYNC, RCLONE, RCLONE_URL, RCLONE_16, AWS, CRT)
}
