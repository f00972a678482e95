"""A store whose valid access keys a test chooses: a StoreProxy that checks them and signs for the real store."""

from aiohttp import web
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from multidict import CIMultiDict

from tests.support.elsewhere import drain, refusal
from tests.support.proxy import Fault, Seen, StoreProxy

_UNSIGNED_BODY = {"client_config": Config(s3={"payload_signing_enabled": False})}


class Keyring:
    """`valid`: access keys that are accepted now; `seen`: the access keys of the calls so far, in order."""

    def __init__(self, proxy: StoreProxy, *valid: str, code: str = "InvalidAccessKeyId", status: int = 403) -> None:
        self.valid = set(valid)
        self.seen: list[str] = []
        self.also: Fault | None = None
        """A further fault for each call with a valid key."""
        self._refusal = code, status
        server = proxy.upstream
        self._keys = Credentials(server.access_key_id, server.secret_access_key)
        proxy.before, proxy.sign = self._admit, self._sign

    async def _admit(self, seen: Seen, request: web.BaseRequest) -> web.StreamResponse | None:
        key = request.headers.get("Authorization", "Credential=/").partition("Credential=")[2].partition("/")[0]
        self.seen.append(key)
        if key not in self.valid:
            await drain(request)
            code, status = self._refusal
            return refusal(status, code if request.method != "HEAD" else "")
        return await self.also(seen, request) if self.also else None  # type: ignore[arg-type]

    def _sign(self, method: str, url: str, headers: CIMultiDict[str]) -> None:
        signed_again(self._keys, method, url, headers)


def signed_again(keys: Credentials, method: str, url: str, headers: CIMultiDict[str]) -> None:
    """Replace the signature in the headers of a request by one with these keys."""
    for name in ("Authorization", "X-Amz-Date", "X-Amz-Security-Token", "Host"):
        headers.popall(name, None)
    request = AWSRequest(method, url, dict(headers))
    request.context.update(_UNSIGNED_BODY)
    S3SigV4Auth(keys, "s3", "us-east-1").add_auth(request)
    headers.update(request.headers.items())


def profile(key: str, secret: str = "a-secret", name: str = "default") -> str:
    """The text of a shared credentials file."""
    return f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
