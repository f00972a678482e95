"""Saves manifests as an editor does (rename) and as the kubelet does (swap of a link); and a small manifest."""

import os
from collections.abc import Mapping
from pathlib import Path

from tests.support.origin import Origin


def mirrors(origin: Origin, bucket: str, *keys: str, more: str = "") -> str:
    """A manifest's section `mirrors`: an entry for each key, with the source at /key; `more` are further fields."""
    lines = (f"  - {{url: '{origin.url(f'/{key}')}', to: 's3://{bucket}/{key}'{more}}}\n" for key in keys)
    return "mirrors:\n" + "".join(lines)


def replaced(file: Path, text: str) -> None:
    """Save as vim with `backupcopy=no`: rename a new file over the old one."""
    fresh = file.with_name(f".{file.name}.swp4913")
    fresh.write_text(text)
    fresh.rename(file)


class ConfigMap:
    """A directory as the kubelet mounts it: names -> ..data/name, ..data -> a directory that is replaced atomically."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._version = 0
        directory.mkdir()

    def swap(self, files: Mapping[str, str]) -> None:
        """Mount these contents as the kubelet's AtomicWriter does."""
        self._version += 1
        fresh, former = self.directory / f"..v{self._version}", self.directory / f"..v{self._version - 1}"
        fresh.mkdir()
        for name, text in files.items():
            (fresh / name).write_text(text)
        (self.directory / "..data_tmp").symlink_to(fresh.name)
        os.replace(self.directory / "..data_tmp", self.directory / "..data")
        self._link(files)
        if former.exists():
            for file in former.iterdir():
                file.unlink()
            former.rmdir()

    def _link(self, files: Mapping[str, str]) -> None:
        for link in self.directory.iterdir():
            if not link.name.startswith("..") and link.name not in files:
                link.unlink()
        for name in files:
            if not (self.directory / name).is_symlink():
                (self.directory / name).symlink_to(f"..data/{name}")
