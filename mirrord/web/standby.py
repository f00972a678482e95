"""What a replica answers that does not have the state: whether it is alive and ready, and nothing else."""

from collections.abc import Callable

from aiohttp import web

from mirrord.web.access import Access
from mirrord.web.routes import problem_response


def standby_application(access: Access, why: str, not_ready: Callable[[], str]) -> web.Application:
    """/livez is answered with 200, so is /readyz unless `not_ready` has a reason, all else with 503 and `why`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/livez":
            return web.Response(text="ok\n")
        if request.path == "/readyz":
            reason = not_ready()
            return web.Response(status=503, text=f"{reason}\n") if reason else web.Response(text="ready\n")
        return problem_response(request, 503, why)

    app = web.Application(middlewares=[access.middleware()])
    app.router.add_route("*", "/{path:.*}", answer)
    return app
