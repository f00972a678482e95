"""mirrord: keeps S3-compatible stores equal to YAML manifests and watched folders.

The public names are imported at first use (PEP 562), so that `mirrord --help` stays fast. Modules of the package import
its submodules by name, never the package itself.
"""

from importlib import import_module

from mirrord._version import __version__

TYPE_CHECKING = False  # the name that type checkers know; importing typing would delay the first line of `__main__`
if TYPE_CHECKING:
    from typing import Any

    from mirrord.client import MultipartUploader, S3Client
    from mirrord.errors import EntityTooSmall, InvalidPart, InvalidPartOrder, MirrordError, NoSuchUpload
    from mirrord.manifest.manifest import Manifest
    from mirrord.programs.api import plan, sync

_HOMES = {
    "S3Client": "mirrord.client",
    "MultipartUploader": "mirrord.client",
    "Manifest": "mirrord.manifest.manifest",
    "plan": "mirrord.programs.api",
    "sync": "mirrord.programs.api",
    "EntityTooSmall": "mirrord.errors",
    "InvalidPart": "mirrord.errors",
    "InvalidPartOrder": "mirrord.errors",
    "NoSuchUpload": "mirrord.errors",
    "MirrordError": "mirrord.errors",
}

__all__ = [
    "EntityTooSmall",
    "InvalidPart",
    "InvalidPartOrder",
    "Manifest",
    "MirrordError",
    "MultipartUploader",
    "NoSuchUpload",
    "S3Client",
    "__version__",
    "plan",
    "sync",
]


def __getattr__(name: str) -> "Any":
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mirrord' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
