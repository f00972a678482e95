"""Secrets in every place of a manifest, with the real command: no outlet shows, sends or stores one.

Userinfo in malformed URLs has more forms in tests/unit/model/test_addresses.py.
"""

import base64
import json
from pathlib import Path
from typing import Any

from tests.support.command import mirrord
from tests.support.customer_keys import with_key
from tests.support.daemon import DEBUG, Daemon, running
from tests.support.http_proxy import http_proxy
from tests.support.origin import Origin, answers, cut_after, redirects
from tests.support.syncing import manifest
from tests.support.webhook_receiver import WebhookReceiver
from tests.support.weed import Server

MARK = "s3cret"
"""Every planted secret has it, so that one search finds all, also in base64 at any of its three offsets."""
FOUND_BY = (MARK, *(base64.b64encode(b"-" * offset + b"s3cret").decode()[2 * offset :][:6] for offset in (0, 1, 2)))


def clean(output: str) -> None:
    found = next((output.index(secret) for secret in FOUND_BY if secret in output), None)
    assert found is None, output[max(0, found - 300) : found + 100]


SIGNED = (
    "X-Amz-Credential=AKIA/s3cretCREDENTIAL&X-Amz-Security-Token=s3cretTOKEN&X-Amz-Signature=s3cretAWS",
    "X-Goog-Credential=s3cretACCOUNT&X-Goog-Signature=s3cretGOOG",
    "sv=2024-11-04&se=2030-01-01&sp=r&sig=s3cretAZURE%3D",
    "Expires=1&Policy=s3cretPOLICY&Signature=s3cretSIG__&Key-Pair-Id=K1",
    "AWSAccessKeyId=AKIA&Expires=1&Signature=s3cretV2",
)
FORMS = (
    "/a;token=s3cretPARAM/x",
    "/a/x;s3cretPARAM",
    "/a?s3cretBARE",
    "/a#s3cretFRAGMENT",
    "/a;v=s3cretA?b=s3cretB#s3cretC",
)
USERINFO = ("me:s3cretPW@", "s3cretUSER@", ":s3cretPW@", "me:p%2Fs3cretPW@", "me:p:s3cretPW@", "me:s3cretPW%40x@")

SSE_C = {"mode": "SSE-C", "customer_key": "mine"}
CUSTOMER_KEY = "s3cretCUSTOMERKEY".ljust(42, "x") + "A="

AUTHORIZATIONS = (
    *("Basic bWU6czNjcmV0UFc=", "Basic czNjcmV0VVNFUjo=", "Basic OnMzY3JldFBX", "Basic bWU6cC9zM2NyZXRQVw=="),
    *("Basic bWU6cDpzM2NyZXRQVw==", "Basic bWU6czNjcmV0UFdAeA==", "Bearer s3cretBEARER", "Basic bWU6czNjcmV0QkFTSUM="),
)
"""What the origin gets for USERINFO, a token with its colon (RFC 7617), and for `bearer` and `basic`."""


def everywhere(origin: Origin, proxy: str, bucket: str, home: Path) -> list[dict[str, Any]]:
    """Entries with a secret in each field that can hold one; good and failing ones."""
    faults = {
        "/ok": (),
        "/denied": (answers(403),),
        "/gone": (answers(404),),
        "/broken": (answers(500),),
        "/cut": (cut_after(2),),
        "/away": (redirects("ftp://me:s3cretPW@h/x?sig=s3cretSIG"),),
        "/loop": (redirects("/loop;s3cretPARAM?sig=s3cretSIG"),),
        "/login": (redirects("//me:s3cretPW@127.0.0.1:1/x?sig=s3cretSIG"),),
    }
    urls = list[str]()
    for path, behaviour in faults.items():
        origin.publish(path, b"bytes")
        origin.behave(path, *behaviour)
        urls += [origin.url(f"{path}?{query}") for query in SIGNED[:: 1 if path == "/ok" else 3]]
    for form in FORMS:
        origin.publish(form.split("#")[0].split("?")[0], b"bytes")
    urls += [origin.url(form) for form in FORMS]
    urls += [origin.url(path).replace("//", f"//{user}") for user in USERINFO for path in ("/ok", "/denied")]
    urls += ["http://me:s3cretPW@h.invalid/x?sig=s3cretSIG", "https://me:s3cretPW@127.0.0.1:1/x;s3cretPARAM"]
    entries: list[dict[str, Any]] = [{"url": url} for url in urls]
    for path in ("/ok", "/denied"):
        entries += [
            {"url": origin.url(path), "http": http}
            for http in (
                {"headers": {"X-Token": "${HEADER}", "Cookie": "a=s3cretCOOKIE"}},
                {"bearer": "${file:bearer}"},
                {"basic": {"username": "me", "password": "s3cretBASIC"}},
                {"proxy": proxy.replace("//", "//me:s3cretPROXY@")},
                {"proxy": proxy.replace("//", "//me:s3cretWRONG@")},
                {"proxy": "http://me:s3cretPROXY@127.0.0.1:1"},
            )
        ]
    entries += [
        {
            "url": origin.url("/ok"),
            "checksum": {"url": origin.url("/gone?sig=s3cretSIG").replace("//", "//me:s3cretPW@")},
        },
        {"urls": [origin.url("/gone?s3cretONE"), origin.url("/ok;s3cretTWO")]},
        {"url": "http://far.invalid/x?sig=s3cretSIG"},
        {"url": origin.url("/ok?s3cret1"), "store": "denied"},
        {"url": origin.url("/ok?s3cret2"), "store": "nowhere"},
        {"url": origin.url("/ok?s3cret3"), "store": "own"},
        *({"url": origin.url(f"{path}?k"), "object": {"encryption": SSE_C}} for path in ("/ok", "/denied")),
        {"url": origin.url("/ok?k"), "object": {"encryption": SSE_C}, "store": "denied"},
    ]
    for number, entry in enumerate(entries):
        entry |= {"to": f"s3://{bucket}/k{number}", "name": f"e{number}"}
    rows = [f"{origin.url('/ok')}?sig=s3cretROW", "http://me:s3cretPW@h:port/x", "ftp://me:s3cretPW@h/x"]
    (home / "rows.txt").write_text("\n".join(rows))
    origin.publish("/rows.txt", "\n".join(rows).encode())
    for name, place in (("lf", "rows.txt"), ("lu", origin.url("/rows.txt?s3cretQ").replace("//", "//me:s3cretPW@"))):
        entries.append({"list": place, "to": f"s3://{bucket}/{name}/", "name": name})
    return entries


def stores(weed: Server, proxy: str) -> str:
    """The store of the test behind a proxy with credentials; one that refuses its keys; one that its proxy refuses."""
    own = {"access_key_id": weed.access_key_id, "secret_access_key": "${file:key}"}
    other = {"access_key_id": "AKIAOTHER", "secret_access_key": "s3cretKEY", "session_token": "${SESSION}"}
    made = {
        "default": {
            "endpoint_url": weed.endpoint_url,
            "credentials": own,
            "proxy": "${STORE_PROXY}",
            "customer_keys": {"mine": "${file:customer}"},
        },
        "denied": {
            "endpoint_url": weed.endpoint_url,
            "credentials": other,
            "customer_keys": {"mine": CUSTOMER_KEY},
        },
        "nowhere": {
            "endpoint_url": "http://store.invalid:1",
            "credentials": other,
            "proxy": proxy.replace("//", "//me:s3cretWRONG@"),
        },
    }
    return json.dumps(
        {name: {"provider": "generic", **one} for name, one in made.items()} | {"own": {"provider": "embedded"}}
    )


async def outlets(daemon: Daemon, home: Path, file: Path, environ: dict[str, str]) -> list[str]:
    """What the daemon shows: API, page, metrics, and `status` in both forms."""
    items = await daemon.items()
    paths = ["/", "/metrics", "/api/v1/status", "/api/v1/entries", "/api/v1/openapi.json", "/api/v1/items?limit=1000"]
    paths += [f"/api/v1/items/{one['id']}{more}" for one in items.values() for more in ("", "/history")]
    paths += ["/api/v1/items?q=s3cre", "/page.js"]
    shown = [(await daemon.ask(path))[1] for path in paths]
    told = [await mirrord("status", *more, "--config", str(file), home=home, env=environ) for more in ((), ("--json",))]
    return shown + [one.output for one in told]


def of_processes(pid: int) -> list[str]:
    """The command lines of the process and its children, and what the children's environments have beyond its own."""
    shown, inherited = [Path(f"/proc/{pid}/cmdline").read_text()], Path(f"/proc/{pid}/environ").read_text().split("\0")
    for child in (
        int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()
    ):
        shown += of_processes(child)
        shown += [one for one in Path(f"/proc/{child}/environ").read_text().split("\0") if one not in inherited]
    return shown


async def test_no_secret_of_any_place_reaches_an_outlet(
    tmp_path: Path, weed: Server, bucket: str, s3_client: Any, origin: Origin
) -> None:
    receiver = WebhookReceiver()
    files = {"token": "s3cretAPI", "bearer": "s3cretBEARER\n", "key": weed.secret_access_key, "hook": "s3cretHOOK"}
    files["customer"] = CUSTOMER_KEY + "\n"
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    async with receiver.here(), http_proxy(credentials="me:s3cretPROXY") as proxy:
        url = receiver.url("/s3cretPATH;s3cretP?s3cretQ").replace("//", "//me:s3cretPW@")
        names = [
            "item.synced",
            "item.blocked",
            "item.recovered",
            "transfer.completed",
            "transfer.failed",
            "manifest.rejected",
        ]
        dead = "http://me:s3cretPW@127.0.0.1:1/s3cretPATH?s3cretQ"
        notify = [
            {"url": url, "events": names, "headers": {"X-Key": "${HEADER}"}, "secret": "${file:hook}"},
            {"url": dead, "secret": "s3cretHOOK2"},
            {"heartbeat": f"{url}&beat", "every": "1s"},
            {"heartbeat": f"{dead}&beat", "every": "1s"},
        ]
        environ = {
            "HEADER": "s3cretHEADER",
            "SESSION": "s3cretSESSION",
            "STORE_PROXY": proxy.url_with("me:s3cretPROXY"),
            "http_proxy": proxy.url_with("me:s3cretENVIRONMENT"),
        }
        entries = everywhere(origin, proxy.url, bucket, tmp_path)
        file = tmp_path / "m.yaml"
        block = json.dumps({"api_token": "${file:token}", "notify": notify})
        file.write_text(f"daemon: {block}\nstores: {stores(weed, proxy.url)}\nmirrors: {json.dumps(entries)}\n")
        shown = list[str]()
        report = tmp_path / "report.json"
        for command in (
            ["validate"],
            ["plan"],
            ["plan", "--json"],
            ["sync", *DEBUG, "--log-format", "console", "--report", str(report)],
            ["plan"],
        ):
            done = await mirrord(*command[:1], str(file), *command[1:], home=tmp_path, env=environ, speed=20.0)
            shown.append(done.output)
        shown.append(report.read_text())
        async with running(tmp_path, str(file), *DEBUG, env=environ, speed=5.0) as daemon:
            await daemon.wait_for(lambda: receiver.received and receiver.beats)

            async def settled() -> bool:
                return not {"Pending", "Transferring"} & set((await daemon.states()).values())

            await daemon.wait_for(settled)
            states = await daemon.states()
            assert {"Synced", "Blocked", "Retrying"} <= {*states.values()}, states
            proxies = {(one["used_by"], one["network_policy"]) for one in (await daemon.api("status"))["proxies"]}
            assert {("sources", "by proxy"), ("store default", "")} <= proxies
            shown += of_processes(daemon.process.pid)
            shown += await outlets(daemon, tmp_path, file, environ)
            file.write_text(file.read_text().replace('"proxy": "', '"proxy": "socks5:', 1))
            await daemon.wait_for(lambda: daemon.logged("manifest.rejected"))
            status, _ = await daemon.ask("/api/v1/reload", "POST", token="s3cretAPI")
            assert status == 200
            shown += await outlets(daemon, tmp_path, file, environ)
            assert await daemon.stop() == 0
            shown.append(daemon.output)
        shown.append((await mirrord("status", "--json", "--config", str(file), home=tmp_path, env=environ)).output)
    shown += [one.body.decode() for one in (*receiver.received, *receiver.refused)]
    shown += [
        one.read_bytes().decode("latin-1")
        for one in (tmp_path / "state").rglob("*")
        if one.is_file() and "embedded" not in str(one)
    ]
    assert {one.headers.get("authorization") for one in origin.asked("/ok")} == {None, *AUTHORIZATIONS}
    encrypted = {one["to"].rpartition("/")[2] for one in entries if "object" in one}
    for one in s3_client.list_objects_v2(Bucket=bucket)["Contents"]:
        given = {"Bucket": bucket, "Key": one["Key"]} | (with_key(CUSTOMER_KEY) if one["Key"] in encrypted else {})
        assert s3_client.get_object(**given)["Body"].read() == b"bytes"
        shown.append(json.dumps(s3_client.head_object(**given)["Metadata"]))
    for text in shown:
        clean(text)
        assert weed.secret_access_key not in text
        assert base64.b64decode(CUSTOMER_KEY).decode("latin-1") not in text


async def test_a_manifest_of_malformed_urls_is_refused_without_quoting_them(tmp_path: Path, weed: Server) -> None:
    urls = [
        "https:/me:s3cretPW@h/a",
        "https://me:s3cretPW/s3cretTOKEN@h/a",
        "https://me:s3cretPW?s3cretTOKEN@h/a",
        "https://me:s3cretPW#s3cretTOKEN@h/a",
        "https:me:s3cretPW@h/a",
        "//me:s3cretPW@h/a?s3cretSIG",
        "HTTPS://s3cretTOKEN@h/a",
        "https://me:s3cretPW@h:port/a",
        "h.example/a;token=s3cretTOKEN",
    ]
    entries = [{"url": url, "to": f"s3://bucket/{n}"} for n, url in enumerate(urls)]
    file = manifest(tmp_path, weed, f"mirrors: {json.dumps(entries)}\n")
    hooks = '["https://h/s3cretTOKEN", {url: h/s3cretTOKEN, secret: whsec_s3cretTOKEN!}]'
    faulty = '{url: "https://h/a", to: "s3://bucket/f", http: {basic: "me:s3cretPW", headers: {"A: s3cretPW": x}}}'
    text = file.read_text().replace("mirrors: [", f"mirrors: [{faulty}, ")
    file.write_text(f"daemon: {{notify: {hooks}}}\n{text}")
    for command in ("validate", "plan", "sync", "run"):
        done = await mirrord(command, str(file), home=tmp_path)
        assert done.code == 78, done.output
        clean(done.output)
