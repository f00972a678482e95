"""`make images`: asks the registries whether each image that the project's files name exists, by tag and by digest.

Speaks the pull part of the OCI distribution specification: HEAD of a manifest, and a token where the registry asks for
one. The list configs/images.txt must be what the files name. Exit codes: 0 all exist; 1 one does not, or the list is
wrong; 2 a registry did not answer, so that nothing is known.
"""

import asyncio
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import yaml

ROOT = Path(__file__).parents[2]
LIST = ROOT / "configs" / "images.txt"
OWN = "mirrord"
"""The image that the Dockerfile makes: no registry has it."""
DOCKER_HUB = "registry-1.docker.io"
SECONDS = 30
_ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        *("oci.image.index.v1", "docker.distribution.manifest.list.v2"),
        *("oci.image.manifest.v1", "docker.distribution.manifest.v2"),
    )
)
_IMAGE = re.compile(r"(?P<name>[\w./:-]+?)(?::(?P<tag>\w[\w.-]*))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class Unanswered(Exception):
    """The registry could not be asked. Says why."""


@dataclass(frozen=True)
class Image:
    """The parts of `registry/repository:tag@digest`; a name without a registry is Docker Hub's."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> "Image":
        found = _IMAGE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no image: write name:tag or name:tag@sha256:…")
        host, slash, rest = found["name"].partition("/")
        if slash and (re.search("[.:]", host) or host == "localhost"):
            return cls(host, rest, found["tag"], found["digest"])
        return cls(DOCKER_HUB, found["name"] if slash else f"library/{host}", found["tag"], found["digest"])

    def manifest(self, reference: str) -> str:
        """As Docker does: loopback without TLS."""
        loopback = urlsplit(f"//{self.registry}").hostname in ("127.0.0.1", "localhost", "::1")
        return f"http{'' if loopback else 's'}://{self.registry}/v2/{self.repository}/manifests/{reference}"


def named() -> set[str]:
    """The images of the Dockerfile and the compose files."""
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    files = [yaml.safe_load(file.read_text()) for file in ROOT.glob("docker-compose*.yml")]
    return {*bases, *(one["image"] for file in files for one in file["services"].values() if "image" in one)} - {OWN}


def listed() -> list[str]:
    return [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]


async def digest_of(session: aiohttp.ClientSession, image: Image, reference: str) -> str | None:
    """The digest of the manifest; None: the registry does not have it. Raises Unanswered."""
    headers = {"Accept": _ACCEPT}
    for _ in range(2):
        async with session.head(image.manifest(reference), headers=headers, allow_redirects=True) as answer:
            if answer.status == 401 and "Authorization" not in headers:
                headers["Authorization"] = f"Bearer {await _token(session, answer.headers.get('WWW-Authenticate', ''))}"
                continue
            if answer.status in (401, 404):  # registries hide with 401 what does not exist
                return None
            if answer.status != 200:
                raise Unanswered(f"{image.registry} answered {answer.status}")
            return answer.headers.get("Docker-Content-Digest", "without a digest")
    raise AssertionError("unreachable")


async def _token(session: aiohttp.ClientSession, challenge: str) -> str:
    fields = dict(_CHALLENGE.findall(challenge))
    if "realm" not in fields:
        raise Unanswered(f"the registry asks for credentials of an unknown kind: {challenge!r}")
    realm = fields.pop("realm")
    async with session.get(realm, params=fields) as answer:
        if answer.status != 200:
            raise Unanswered(f"{realm} answered {answer.status}")
        body = await answer.json(content_type=None)
    return str(body.get("token") or body.get("access_token"))


async def check(session: aiohttp.ClientSession, text: str) -> tuple[int, str]:
    """(exit code, what to say) of one image."""
    image = Image.parse(text)
    try:
        found = {one: await digest_of(session, image, one) for one in (image.tag, image.digest) if one}
    except (aiohttp.ClientError, TimeoutError, Unanswered) as error:
        return 2, f"{text}: not checked: {error or 'no answer'}"
    missing = [one for one, digest in found.items() if digest is None]
    if missing:
        return 1, f"{text}: {image.registry} has no {' and no '.join(missing)}"
    now = found.get(image.tag or "")
    moved = image.digest and now != image.digest
    return 0, f"{text}: exists" + (f"; the tag is now {now}" if moved else "" if image.digest else f" as {now}")


async def check_all(images: Iterable[str]) -> int:
    """Print a line for each image. The exit code."""
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        results = await asyncio.gather(*(check(session, image) for image in images))
    for code, line in results:
        print(line, file=sys.stderr if code else sys.stdout)
    codes = {code for code, _ in results}
    if 2 in codes:
        print("error: a registry did not answer: with a network, run this again", file=sys.stderr)
    return 1 if 1 in codes else max(codes)


def main(arguments: Sequence[str]) -> int:
    """`arguments`: images to ask for; none: those of the list."""
    if not arguments and set(listed()) != named():
        print(f"error: {LIST.relative_to(ROOT)} differs from what the files name: {sorted(set(listed()) ^ named())}",
              file=sys.stderr)  # fmt: skip
        return 1
    return asyncio.run(check_all(arguments or listed()))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
