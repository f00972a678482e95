"""The directory of `mirrord demo`: its manifest, its inbox, and where it keeps what it remembers.

Owns the texts of the files, which it makes once and never overwrites: what a person changed stays changed.
"""

import json
from dataclasses import dataclass
from pathlib import Path

ORIGIN = "MIRRORD_DEMO_ORIGIN"
"""The variable by which the manifest finds the sample origin."""
MANIFEST = """\
# The manifest of `mirrord demo`. While the demo runs, edit and save it: the status page follows within seconds.
daemon:
  state: STATE

stores:
  default:
    provider: embedded            # a SeaweedFS on this machine, for as long as the demo runs
    buckets:
      demo: {create: true}

mirrors:
  - url: ${ORIGIN}/hello.txt
    to: s3://demo/hello.txt

  - url: ${ORIGIN}/news.txt       # a new edition every 20 s; a look that finds none moves nothing
    to: s3://demo/news.txt
    every: 5s

  - url: ${ORIGIN}/part-{number}.txt
    to: s3://demo/parts/
    matrix: {number: [one, two, three]}
    every: 30s

  - url: ${ORIGIN}/large.bin      # 64 MiB, at 12 MiB/s while the demo is live: see it move
    to: s3://demo/downloads/
    every: 1m
    http: {connections: 1}        # one stream: four would share it, and what the first had in flight comes twice

  # Take the # of the next line away and save: the page says what is wrong, and who must act. Put it back: it is gone.
  #- {url: "${ORIGIN}/no-such-file", to: s3://demo/no-such-file}

folders:
  - path: inbox                   # every file that is dropped there, once it has not changed for a second
    to: s3://demo/inbox/
    settle: 1s
"""
NOTE = "Every file in this folder becomes an object below s3://demo/inbox/.\n"


@dataclass(frozen=True, slots=True)
class DemoDirectory:
    """Where one demo lives. `root` is absolute."""

    root: Path

    @property
    def manifest(self) -> Path:
        return self.root / "mirrord.yaml"

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    def prepare(self) -> None:
        """Make whatever is missing."""
        self.inbox.mkdir(parents=True, exist_ok=True)
        state = json.dumps(f"sqlite://{self.root / 'state' / 'state.db'}", ensure_ascii=False).replace("$", "$$")
        manifest = MANIFEST.replace("${ORIGIN}", f"${{{ORIGIN}}}").replace("STATE", state)
        for path, content in ((self.manifest, manifest), (self.inbox / "note.txt", NOTE)):
            if not path.exists():
                _write_whole(path, content)


def _write_whole(path: Path, content: str) -> None:
    """Half a file, as a full disk leaves it, would never be made again: it is taken for what a person changed."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
