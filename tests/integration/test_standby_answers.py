"""What a replica answers that does not have the state."""

import aiohttp

from mirrord.web.access import Access
from mirrord.web.server import Server
from mirrord.web.standby import standby_application


async def test_readyz_has_the_reason_of_this_moment() -> None:
    reasons = ["it has read no manifests yet"]
    app = standby_application(Access(None), "no page here", lambda: reasons[-1])
    async with Server("127.0.0.1:0", app) as server, aiohttp.ClientSession() as session:

        async def ask(path: str) -> tuple[int, str]:
            async with session.get(server.url + path) as answer:
                return answer.status, await answer.text()

        assert await ask("/readyz") == (503, "it has read no manifests yet\n")
        assert (await ask("/livez"))[0] == 200
        reasons.append("")
        assert (await ask("/readyz"))[0] == 200
        status, text = await ask("/api/v1/status")
        assert (status, "no page here" in text) == (503, True)
