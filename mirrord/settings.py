"""Settings of a process: flags override MIRRORD_* variables, which override the manifest's `daemon:` block.

Owns the defaults, the bounds and the merging; the manifest's schema takes both from here. An invalid value is an error
that names its flag or variable. The result is one frozen `Settings`.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from mirrord.frozen import frozen
from mirrord.model import UNLIMITED, BandwidthLimits, Secret, shown
from mirrord.units import MiB, parse_duration, parse_rate, parse_size

MOST_TRANSFERS = 10_000
MOST_CONNECTIONS = 256
"""To one host, and of one source."""
MOST_REQUESTS = 1e6
"""To one host in a second."""
LEAST_MEMORY = 16 * MiB
LOG_FORMATS = ("auto", "console", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")

DEFAULT_CONFIG = "/etc/mirrord"
HOST_PATTERN = r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
HOST = re.compile(HOST_PATTERN)
_SQLITE = "sqlite://"
_POSTGRES = ("postgresql://", "postgres://")
_EMBEDDED = ("embedded", "embedded.json", "embedded.json.new", "embedded.lock", "embedded.log")
MEASURED = "measured.json"
"""What `doctor --store` measured (`engine.measured_stores`)."""
_BESIDE_THE_JOURNAL = ("lock", "daemon.json", "daemon.json.new", MEASURED, f"{MEASURED}.new", *_EMBEDDED)
_UNIX = "unix"
_LISTEN = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]]+)):(?P<port>\d{1,5})")


@frozen
class OwnPaths:
    """The state directory, and mirrord's own names in it. Nothing of it is ever uploaded.

    `roots`: only what is below one of these real paths is read (`daemon.file_roots`); None: anything.
    """

    directory: str
    names: frozenset[str]
    roots: tuple[str, ...] | None = None

    def contain(self, path: str) -> bool:
        """Whether this path, after following links, is the state directory, or one of the state's own names or below
        it."""
        below = os.path.relpath(os.path.realpath(path), os.path.realpath(self.directory))
        return below == "." or below.partition("/")[0] in self.names


@frozen(kw_only=True)
class Settings:
    """`state` is the journal's file. The rest of the state (lock, embedded store) is in the same directory. `database`:
    the address of a journal in PostgreSQL, instead of that file."""

    state: Path
    database: Secret | None = field(default=None, repr=False)
    transfers: int = 16
    memory_limit: int = 256 * MiB
    log_format: str = "auto"
    log_level: str = "info"
    listen: str = "127.0.0.1:8420"  # host:port, unix:path, or none
    api_token: Secret | None = field(default=None, repr=False)
    read_token: Secret | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()  # more host names that page and API answer to
    shutdown_grace: float = 25.0  # seconds
    per_host_connections: int = 8
    per_host_requests_per_second: float | None = None
    network_allow: tuple[str, ...] = ()  # networks (CIDR) exempt from the rules on addresses
    bandwidth: BandwidthLimits = UNLIMITED
    file_roots: tuple[str, ...] | None = None  # absolute; None: any file and folder may be read

    @property
    def directory(self) -> Path:
        return self.state.parent

    @property
    def journal(self) -> str:
        """Where the journal is, without a password."""
        return str(self.state) if self.database is None else shown(self.database.reveal())

    @property
    def own_paths(self) -> OwnPaths:
        """Paths that no folder and no copy may upload, and the roots of what may be read, with their links followed
        now."""
        journal = (f"{self.state.name}{ending}" for ending in ("", "-wal", "-shm", "-journal"))
        roots = None if self.file_roots is None else tuple(map(os.path.realpath, self.file_roots))
        return OwnPaths(str(self.directory), frozenset((*journal, *_BESIDE_THE_JOURNAL)), roots)


def default_config(environ: Mapping[str, str]) -> str:
    """The PATH used when none is given: $MIRRORD_CONFIG, else /etc/mirrord."""
    return environ.get("MIRRORD_CONFIG") or DEFAULT_CONFIG


def default_state(environ: Mapping[str, str]) -> Path:
    """The default file of the journal: below $STATE_DIRECTORY (systemd), else $XDG_STATE_HOME/mirrord.

    Raises ValueError for a user without a home directory.
    """
    if directory := environ.get("STATE_DIRECTORY"):
        return Path(directory.split(":")[0]).absolute() / "state.db"
    if base := environ.get("XDG_STATE_HOME"):
        return Path(base).absolute() / "mirrord" / "state.db"
    try:
        home = Path(environ.get("HOME") or "~").expanduser()
    except RuntimeError:  # neither HOME nor an entry in passwd
        raise ValueError(
            f"user {os.getuid()} has no home directory for the state; set daemon.state, --state, MIRRORD_STATE or HOME"
        ) from None
    return home.absolute() / ".local" / "state" / "mirrord" / "state.db"


def state_of(text: str) -> Path | Secret:
    """The journal that a setting `state` names: a file, or the address of a database. Raises ValueError for another
    kind of journal."""
    return Secret(text) if text.startswith(_POSTGRES) else state_path(text)


def state_path(text: str) -> Path:
    """The file named by `sqlite:///path/state.db`, a path to a `.db` file, or a state directory."""
    if text.startswith(_SQLITE):
        path_text = text.removeprefix(_SQLITE)
        return _at_home(path_text.removeprefix("/") if path_text.startswith("/~/") else path_text).absolute()
    if "://" in text:
        raise ValueError(f"write sqlite:///path/state.db or postgresql://host/database, not {text.split(':')[0]}://…")
    path = _at_home(text).absolute()
    return path if path.suffix == ".db" else path / "state.db"


def _at_home(text: str) -> Path:
    """The path with a leading `~/` expanded, as shells do it. `~user` stays as it is."""
    try:
        return Path(text).expanduser() if text.startswith("~/") else Path(text)
    except RuntimeError:
        raise ValueError(f"{text!r} begins with ~/, but no home directory is known: set HOME") from None


def socket_path(listen: str) -> str | None:
    """The path of `unix:PATH`; None for any other address."""
    scheme, _, path = listen.partition(":")
    return path if scheme == _UNIX and path and "\0" not in path else None


def listen_host(listen: str) -> str:
    """The host of an address to listen on; empty for a Unix socket."""
    return "" if socket_path(listen) else parse_listen(listen)[0]


def parse_listen(listen: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[IPv6]:port`; port 0 is any free port. The ValueError names the expected
    form."""
    match = _LISTEN.fullmatch(listen)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(
            f"{listen!r} is no address to listen on; write host:port, like 127.0.0.1:8420 or [::1]:8420, or unix:PATH"
        )
    return match["six"] or match["host"], int(match["port"])


def _listen(text: str) -> str:
    if text == "none":
        return text
    if path := socket_path(text):
        return f"{_UNIX}:{_at_home(path).absolute()}"
    parse_listen(text)
    return text


def _hosts(text: str) -> tuple[str, ...]:
    names = tuple(text.replace(",", " ").split())
    for name in names:
        if not HOST.fullmatch(name):
            raise ValueError(
                f"{name!r} is not a host name; write it without a port, like a.example.org or *.example.org"
            )
    return names


def is_network(text: str) -> bool:
    """Whether this is an address or a CIDR block without host bits."""
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _networks(text: str) -> tuple[str, ...]:
    names = tuple(text.replace(",", " ").split())
    for name in names:
        if not is_network(name):
            raise ValueError(f"{name!r} is not a network; write an address or a CIDR block, like 10.0.0.0/8")
    return names


def _roots(text: str) -> tuple[str, ...]:
    """Absolute paths, separated by colons."""
    roots = tuple(str(_at_home(path)) for path in text.split(":"))
    for path in roots:
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is not an absolute path; write them like /srv:/data")
    return roots


def _count(most: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        count = int(text) if text.isascii() and text.isdigit() else 0
        if not 1 <= count <= most:
            raise ValueError(f"{text!r} is not a number from 1 to {most}")
        return count

    return check


def _memory_limit(text: str) -> int:
    size = parse_size(text)
    if size < LEAST_MEMORY:
        raise ValueError(f"{text!r} is too little; memory_limit is at least {LEAST_MEMORY // MiB}MiB")
    return size


def _bandwidth(text: str) -> BandwidthLimits:
    """One rate for all times."""
    if text == "unlimited":
        return UNLIMITED
    rate = parse_rate(text)
    if rate < 1:
        raise ValueError(f"{text!r} is too little; bandwidth is at least 1B/s")
    return BandwidthLimits(default=rate)


def _request_rate(text: str) -> float | None:
    if text == "unlimited":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= MOST_REQUESTS:
        raise ValueError(f"{text!r} is not a positive number, or unlimited")
    return rate


def _one_of(*words: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return text

    return check


_READ: Mapping[str, Callable[[str], Any]] = {
    "state": state_of,
    "transfers": _count(MOST_TRANSFERS),
    "memory_limit": _memory_limit,
    "log_format": _one_of(*LOG_FORMATS),
    "log_level": _one_of(*LOG_LEVELS),
    "listen": _listen,
    "api_token": Secret,
    "read_token": Secret,
    "hosts": _hosts,
    "shutdown_grace": parse_duration,
    "per_host_connections": _count(MOST_CONNECTIONS),
    "per_host_requests_per_second": _request_rate,
    "network_allow": _networks,
    "bandwidth": _bandwidth,
    "file_roots": _roots,
}


def resolve(flags: Mapping[str, str | None], environ: Mapping[str, str], daemon: Mapping[str, Any]) -> Settings:
    """One value for each setting: `flags` and `environ` as text, `daemon` already validated (only what is set).

    Raises ValueError that names the invalid flag or variable.
    """
    chosen: dict[str, Any] = dict(daemon)
    for name in _READ:
        variable, flag = f"MIRRORD_{name.upper()}", f"--{name.replace('_', '-')}"
        for origin, text in ((variable, environ.get(variable)), (flag, flags.get(name))):
            if text:
                chosen[name] = _read(name, origin, text)
    if isinstance(chosen.get("state"), Secret):
        chosen["database"] = chosen.pop("state")
    if "state" not in chosen:
        chosen["state"] = default_state(environ)
    return Settings(**chosen)


def _read(name: str, origin: str, text: str) -> Any:
    try:
        return _READ[name](text)
    except ValueError as error:
        raise ValueError(f"{origin}: {error}") from None
