"""What the manifests of the property test say: two files with mirrors, a list and a folder, as data and as YAML."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.support.converging import BUCKET

FILES = ("a.yaml", "b.yaml")
LIST = "http://lists/l.txt"
LOCAL_LIST = "../l.txt"
STORES = "stores: {default: {provider: seaweedfs, endpoint_url: 'http://store:1'}}\n"


@dataclass(frozen=True)
class Entry:
    """One mirror, as the model writes it."""

    name: str
    urls: tuple[str, ...]
    file: str = FILES[0]
    prune: bool = False
    suspend: bool = False
    overwrite: str = "always"
    drift: str = "repair"
    cache_control: str | None = None

    def as_yaml(self, key: str) -> dict[str, Any]:
        source = {"url": self.urls[0]} if len(self.urls) == 1 else {"urls": list(self.urls)}
        return {
            **source,
            "to": f"s3://{BUCKET}/{key}",
            "name": self.name,
            "prune": self.prune,
            "suspend": self.suspend,
            "overwrite": self.overwrite,
            "drift": self.drift,
            "upload": {"multipart_threshold": "5MiB", "part_size": "5MiB"},
            **({"object": {"cache_control": self.cache_control}} if self.cache_control else {}),
        }


@dataclass
class Manifests:
    """What the files say now. `broken`: files that are invalid."""

    entries: dict[str, Entry] = field(default_factory=dict)
    rows: tuple[str, ...] | None = None
    """None: there is no list."""
    list_at: str = LIST
    list_prunes: bool = False
    bad_row: bool = False
    folder: str | None = None
    """Its `delete`; None: there is no folder."""
    broken: frozenset[str] = frozenset()

    def text(self, file: str) -> str:
        mirrors = [one.as_yaml(key) for key, one in self.entries.items() if one.file == file]
        if file == FILES[0] and self.rows is not None:
            mirrors.append({"list": self.list_at, "to": f"s3://{BUCKET}/l/", "name": "rows", "prune": self.list_prunes})
        text = f"mirrors: {json.dumps(mirrors)}\n"
        if file == FILES[1] and self.folder is not None:
            options = {"path": "../in", "to": f"s3://{BUCKET}/f/", "name": "in", "settle": "1ms", "delete": self.folder}
            text += f"folders: {json.dumps([options])}\n"
        return text + ("nonsense: [\n" if file in self.broken else "")

    def wants(self, key: str) -> bool:
        """Whether any file names the key, also one that is invalid."""
        return key in self.entries or (self.rows is not None and key.removeprefix("l/") in self.rows and key[0] == "l")

    def prunes(self, key: str) -> bool | None:
        """As the files say that are valid; None: they do not name it."""
        entry = self.entries.get(key)
        if entry is not None:
            return None if entry.file in self.broken else entry.prune
        return self.list_prunes if self.wants(key) and FILES[0] not in self.broken else None
