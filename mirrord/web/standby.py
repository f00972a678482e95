"""What a replica answers that does not have the state: whether it is alive and ready, and nothing else."""

from collections.abc import Callable

from aiohttp import web

from mirrord.web.access import Access
from mirrord.web.routes import problem_response


def standby_application(access: Access, why: str, is_ready: Callable[[], bool]) -> web.Application:
    """/livez is answered with 200, so is /readyz if it is ready, everything else with 503 and the reason."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/livez":
            return web.Response(text="ok\n")
        if request.path == "/readyz" and is_ready():
            return web.Response(text="ready\n")
        if request.path == "/readyz":
            return web.Response(status=503, text=f"{why}\n")
        return problem_response(request, 503, why)

    app = web.Application(middlewares=[access.middleware()])
    app.router.add_route("*", "/{path:.*}", answer)
    return app
