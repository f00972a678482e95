"""No way of making text of a secret, or of a value that has one, shows it by accident; a request gets it."""

import copy
import io
import json
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import BaseModel
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback

from mirrord.declared import Credentials, Heartbeat, StoreOptions, Webhook
from mirrord.manifest.manifest import Manifest
from mirrord.model import ConnectionOptions, HttpOptions, Notice, Secret, Url, revealed, secret_of
from mirrord.proxies import EnvironmentProxies, Proxy
from mirrord.settings import Settings
from mirrord.telemetry.redaction import redacted
from mirrord.web.as_json import as_json

PW = Secret("s3cret")
MANIFEST = """
daemon: {api_token: s3cret, notify: [{url: "https://h/s3cret", secret: s3cret, headers: {X: s3cret}},
  {heartbeat: "https://h/s3cret2"}]}
stores: {default: {provider: minio, endpoint_url: "http://h", proxy: "http://me:s3cret@p",
  credentials: {access_key_id: s3cret, secret_access_key: s3cret, session_token: s3cret}}}
mirrors: [{url: "https://me:s3cret@h/a?s3cret", to: "s3://bbb/a", http: {headers: {X: s3cret}, bearer: s3cret,
  proxy: "http://me:s3cret@p"}},
  {url: "https://h/b", to: "s3://bbb/b", http: {basic: {username: s3cret, password: s3cret}}}]
"""
HOLDERS: dict[str, Callable[[], object]] = {
    "Secret": lambda: PW,
    "Settings": lambda: Settings(state=Path("/s"), api_token=PW),
    "Credentials": lambda: Credentials.of("s3cret", "s3cret", "s3cret"),
    "StoreOptions": lambda: StoreOptions(name="s", credentials=Credentials.of("s3cret", "s3cret")),
    "ConnectionOptions": lambda: ConnectionOptions(proxy=PW),
    "HttpOptions": lambda: HttpOptions(headers={"Authorization": PW}),
    "Webhook": lambda: Webhook(url=PW, notices=frozenset(Notice), headers={"X": PW}, secret=PW),
    "Heartbeat": lambda: Heartbeat(url=PW, every=1.0, headers={"X": PW}),
    "Proxy": lambda: Proxy.of("http://me:s3cret@p:1"),
    "EnvironmentProxies": lambda: EnvironmentProxies.read({"HTTP_PROXY": "http://me:s3cret@p"}),
    "DaemonSection": lambda: Manifest.parse("m.yaml", MANIFEST.encode(), {}).document.daemon,
    "StoreSection": lambda: Manifest.parse("m.yaml", MANIFEST.encode(), {}).document.stores["default"],
    "MirrorSection": lambda: Manifest.parse("m.yaml", MANIFEST.encode(), {}).document.mirrors[0],
    "Url": lambda: Url("https://me:s3cret@h/a?s3cret"),
}


def with_locals(holder: object) -> str:
    """The traceback of rich, which shows local variables."""
    out = io.StringIO()
    try:
        raise ValueError(f"{holder}")
    except ValueError as error:
        trace = Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
    Console(file=out, width=500).print(trace)
    return out.getvalue() + "".join(traceback.format_exception(ValueError(holder)))


def fields_of(holder: object) -> str:
    return repr(asdict(holder)) if hasattr(holder, "__dataclass_fields__") and not isinstance(holder, Url) else ""


def dumped(holder: object) -> str:
    """All fields of a section; the URL of a source is a `Url` from the plan on."""
    return repr(holder.model_dump(exclude={"url"})) if isinstance(holder, BaseModel) else ""


def in_api(holder: object) -> str:
    """As the API writes it, or the error that it writes nothing."""
    try:
        return json.dumps(as_json(holder))
    except TypeError as error:
        return str(error)


OUTLETS: dict[str, Callable[[object], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda one: f"{one} {one!s} {one!r}",
    "%": lambda one: "%s %r" % (one, one),  # noqa: UP031 - as logging does
    "asdict": fields_of,
    "pydantic": dumped,
    "pretty": pretty_repr,
    "traceback": with_locals,
    "log line": lambda one: str(redacted({"value": one, "list": [one], "map": {"x": one}})),
    "API": in_api,
}


@pytest.mark.parametrize("outlet", OUTLETS)
@pytest.mark.parametrize("holder", HOLDERS)
def test_an_outlet_shows_no_secret_of_a_value(holder: str, outlet: str) -> None:
    assert "s3cret" not in OUTLETS[outlet](HOLDERS[holder]())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: json.dumps({"a": PW}),
        lambda: pickle.dumps(PW),
        lambda: pickle.dumps(HOLDERS["Credentials"]()),
        lambda: "a" + PW,
        lambda: "".join([PW]),
        lambda: as_json(PW),
        lambda: Path(PW),
        lambda: b"" + PW,
    ],
)
def test_what_would_write_it_is_an_error_without_it(wrong: Callable[[], object]) -> None:
    with pytest.raises(TypeError) as caught:
        wrong()
    assert "s3cret" not in str(caught.value)


def test_a_secret_is_a_value() -> None:
    assert PW.reveal() == "s3cret"
    assert revealed({"X": PW}) == {"X": "s3cret"}
    assert PW == Secret("s3cret") == copy.deepcopy(PW) == copy.copy(PW)
    assert len({PW, Secret("s3cret"), Secret("other")}) == 2
    assert PW not in ("s3cret", None, Secret("other"))
    assert PW
    assert not Secret("")
    assert (secret_of(None), secret_of("s3cret")) == (None, PW)
