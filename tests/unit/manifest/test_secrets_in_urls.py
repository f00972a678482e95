"""No problem of a manifest shows the secret of a URL, for any fault and any field."""

import json

import pytest

from mirrord.errors import ManifestError
from mirrord.manifest.manifest import Manifest

PLACES = {
    "url": "mirrors: [{{url: {0}, to: 's3://bbb/x'}}]",
    "key of mirrors": "mirrors: {{{0}: 's3://bbb/x'}}",
    "key of fields": "mirrors: {{{0}: {{to: 's3://bbb/x', evry: 1h}}}}",
    "urls": "mirrors: [{{urls: [{0}], to: 's3://bbb/x'}}]",
    "to": "mirrors: [{{url: 'https://h.example/x', to: {0}}}]",
    "name": "mirrors: [{{url: 'https://h.example/x', to: 's3://bbb/x', name: [{0}]}}]",
    "checksum": "mirrors: [{{url: 'https://h.example/x', to: 's3://bbb/x', checksum: {{url: {0}}}}}]",
    "proxy": "mirrors: [{{url: 'https://h.example/x', to: 's3://bbb/x', http: {{proxy: {0}}}}}]",
    "notify": "daemon: {{notify: [{{url: {0}, events: [item.blocked]}}]}}",
    "heartbeat": "daemon: {{notify: [{{heartbeat: {0}, every: 5m}}]}}",
    "listen": "daemon: {{listen: {0}}}",
    "state": "daemon: {{state: {0}}}",
    "endpoint_url": "stores: {{default: {{provider: minio, endpoint_url: {0}}}}}",
    "a number": "daemon: {{transfers: {0}}}",
    "an unknown field": "mirrors: [{{url: 'https://h.example/x', to: 's3://bbb/x', {0}: 1}}]",
}
URLS = [
    "https:/me:PW@h.example/a",
    "https:me:PW@h.example/a",
    "https:\\\\me:PW@h.example/a",
    "//me:PW@h.example/a",
    "HTTPS://me:PW@h.example/a",
    "https://me:PW/WORD@h.example/a",
    "https://me:PW?WORD@h.example/a",
    "https://me:PW#WORD@h.example/a",
    "https://me:PW@WORD@h.example:x/a",
    "https://me:P W@h.example/a b",
    "https://me:PW@h.example:99999/a",
    "https://me%3APW%40h.example:x/a",
    "https://TOKEN@[h/a",
    "https:/h.example/a?sig=TOKEN",
    "s3://AKIA:PW@bucket/key",
    "s3://AKIA:PW/WORD@bucket/key",
    "ftp://me:PW@h.example/a",
    "htps://me:PW@h.example/a",
    "me:PW@h.example/a",
    "<https://me:PW@h.example/a>",
    "'https://me:PW/WORD@h.example/a'",
    "\ufeffhttps://TOKEN@h.example/a",
    "https;//me:PW@h.example/a",
    "s3://AKIA:80/PW@bucket/key",
    "https://me:PW\u00a0@h.example/\u0007a",
    "https://${UNSET}:PW@h.example/a",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("url", URLS)
def test_no_problem_quotes_a_secret(place: str, url: str) -> None:
    text = PLACES[place].format(json.dumps(url)) + "\nfolders: [{path: 5}]\n"  # whatever the URL is, this is a problem
    with pytest.raises(ManifestError) as caught:
        Manifest.parse("m.yaml", text.encode(), {})
    message = str(caught.value)
    assert not any(secret in message for secret in ("PW", "WORD", "TOKEN", "AKIA")), message


def test_an_endpoint_has_no_userinfo() -> None:
    text = "stores: {default: {provider: minio, endpoint_url: 'https://AKIA:PW@minio.example'}}"
    with pytest.raises(ManifestError, match="keys go under credentials"):
        Manifest.parse("m.yaml", text.encode(), {})
