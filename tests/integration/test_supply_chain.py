"""`make audit` and `make sbom`: the real tools on the real lock files, with a local service of vulnerabilities."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A goal of the Makefile, in the environment of this test, without an installation."""
    installed = f"{sys.prefix}/.installed-dev"
    command = ["make", "--silent", f"VENV={sys.prefix}", f"--old-file={installed}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def pins(lock: str) -> dict[str, str]:
    found = dict(PIN.findall((ROOT / lock).read_text()))
    assert len(found) > 20
    return found


class Vulnerabilities(BaseHTTPRequestHandler):
    """OSV's query of one package and version. `known`: the package with a vulnerability, `asked`: all queries."""

    known = ""
    asked: set[tuple[str, str]]

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = query["package"]["name"]
        self.asked.add((name, query["version"]))
        affected = {
            "package": {"name": name, "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999"}]}],
        }
        found = {"id": "PYSEC-0000-1", "aliases": [], "summary": "a planted fault", "affected": [affected]}
        body = json.dumps({"vulns": [found]} if name == self.known else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test reads `asked`."""


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    Vulnerabilities.known, Vulnerabilities.asked = "", set()
    with ThreadingHTTPServer(("127.0.0.1", 0), Vulnerabilities) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def audit(server: ThreadingHTTPServer, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    url = f"http://127.0.0.1:{server.server_port}/v1/query"
    return make("audit", f"ARGS=--vulnerability-service osv --osv-url {url} --cache-dir {tmp_path}")


def test_an_audit_asks_for_each_locked_package(service: ThreadingHTTPServer, tmp_path: Path) -> None:
    done = audit(service, tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(pins("requirements.lock").items()) <= Vulnerabilities.asked
    assert ("pytest", pins("requirements-dev.lock")["pytest"]) in Vulnerabilities.asked


def test_a_known_vulnerability_fails_the_audit(service: ThreadingHTTPServer, tmp_path: Path) -> None:
    Vulnerabilities.known = "yarl"
    done = audit(service, tmp_path)
    assert done.returncode != 0
    assert "PYSEC-0000-1" in done.stdout
    assert "yarl" in done.stdout


def test_an_audit_without_a_service_fails(tmp_path: Path) -> None:
    url = "http://127.0.0.1:1/v1/query"
    done = make("audit", f"ARGS=--vulnerability-service osv --osv-url {url} --timeout 1 --cache-dir {tmp_path}")
    assert done.returncode != 0
    assert "127.0.0.1" in done.stderr


def test_the_bill_of_materials_has_each_locked_package_with_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "bom" / "mirrord.cdx.json"
    done = make("sbom", f"SBOM={file}")
    assert done.returncode == 0, done.stderr
    document = json.loads(file.read_text())
    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["name"] == "mirrord"
    components = {one["name"]: one for one in document["components"]}
    assert {name: one["version"] for name, one in components.items()} == pins("requirements.lock")
    for one in components.values():
        assert one["externalReferences"][0]["hashes"], one["name"]


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/releasing.md"])
def test_the_proofs_that_a_page_names_exist(page: str) -> None:
    named = set(re.findall(r"\b(?:tests|docs|configs)/[\w./-]*\w", (ROOT / page).read_text()))
    assert len(named) > 1
    assert not {path for path in named if not (ROOT / path).exists()}
