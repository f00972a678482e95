"""The directory of `mirrord demo`: its manifest, its inbox and its state.

Owns the contents of the files. They are made once and never overwritten, so that edits stay.
"""

import json
from pathlib import Path

from mirrord.frozen import frozen

ORIGIN = "MIRRORD_DEMO_ORIGIN"
"""The variable by which the manifest finds the sample origin."""
MANIFEST = """\
# The manifest of `mirrord demo`. While the demo runs, edit and save it: the status page follows within seconds.
daemon:
  state: STATE

stores:
  default:
    provider: embedded            # a SeaweedFS on this machine while the demo runs
    buckets:
      demo: {create: true}

mirrors:
  - url: ${ORIGIN}/hello.txt
    to: s3://demo/hello.txt

  - url: ${ORIGIN}/news.txt       # changes every 20 s; a check without a change sends nothing
    to: s3://demo/news.txt
    every: 5s

  - url: ${ORIGIN}/part-{number}.txt
    to: s3://demo/parts/
    matrix: {number: [one, two, three]}
    every: 30s

  - url: ${ORIGIN}/large.bin      # 64 MiB; the live demo sends 12 MiB/s
    to: s3://demo/downloads/
    every: 1m
    http: {connections: 1}        # one stream: the origin is slow on purpose

  # Remove the # of the next line and save: the page shows the problem. Put it back: the problem is gone.
  #- {url: "${ORIGIN}/no-such-file", to: s3://demo/no-such-file}

folders:
  - path: inbox                   # every file in it, once it has not changed for a second
    to: s3://demo/inbox/
    settle: 1s
"""
NOTE = "Every file in this folder becomes an object below s3://demo/inbox/.\n"


@frozen
class DemoDirectory:
    """The directory of one demo. `root` is absolute."""

    root: Path

    @property
    def manifest(self) -> Path:
        return self.root / "mirrord.yaml"

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    def prepare(self) -> None:
        """Make the files and directories that are missing."""
        self.inbox.mkdir(parents=True, exist_ok=True)
        state = json.dumps(f"sqlite://{self.root / 'state' / 'state.db'}", ensure_ascii=False).replace("$", "$$")
        manifest = MANIFEST.replace("${ORIGIN}", f"${{{ORIGIN}}}").replace("STATE", state)
        for path, content in ((self.manifest, manifest), (self.inbox / "note.txt", NOTE)):
            if not path.exists():
                _write_whole(path, content)


def _write_whole(path: Path, content: str) -> None:
    """Write the file whole or not at all: a partial one, left by a full disk, would look like an edited one."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
