"""The services behind the addresses of the Grid'5000 API."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from footprint.serve import jobs, metrics, reference
from footprint.serve.oarapi import Oar
from footprint.serve.recorded import Recorded
from footprint.serve.refusals import NotFound, OarRefusal, Refusal, respond

PREFIX = "/stable"
OAR_FORMS = {"jobs": "simple", "jobs/details": "details", "jobs/table": "table"}
MICROSECONDS = "%Y-%m-%dT%H:%M:%S%.6fZ"


@dataclass(frozen=True)
class Access:
    """Who may ask for what.

    Attributes:
        username: User name to ask for; None: anybody is welcome.
        password: Password to ask for.
        forbid: Pattern of paths that nobody may ask for.
    """

    username: str | None = None
    password: str | None = None
    forbid: str | None = None


def application(recorded: Recorded, limits: metrics.Limits, access: Access) -> ASGIApp:
    """All services, with and without the prefix of the real API's address."""
    routes = _routes(recorded, limits)
    handlers = {Refusal: respond}
    app = Starlette(routes=[*routes, Mount(PREFIX, routes=routes)], exception_handlers=handlers)
    return _Guard(app, access)


def _routes(recorded: Recorded, limits: metrics.Limits) -> list[Route]:
    oar = Oar(recorded)

    def at(path: str, answer: Callable[[Request], Any]) -> Route:
        """An address of the site, answered with JSON."""

        def endpoint(request: Request) -> Response:
            if request.path_params["site"] != recorded.name:
                raise NotFound(f"Cannot find resource /sites/{request.path_params['site']}")
            found = answer(request)
            if isinstance(found, bytes):
                return Response(found, media_type="application/json")
            return JSONResponse(found)

        return Route("/sites/{site}" + path, endpoint, methods=["GET"])

    def param(request: Request, name: str) -> str:
        return str(request.path_params[name])

    def queues(request: Request) -> str | None:
        return request.query_params.get("queues")

    def oar_jobs(request: Request, form: str) -> Any:
        return oar.jobs(request.url.path, request.query_params, form)

    def oar_job(request: Request, *, details: bool) -> Any:
        if "authorization" not in request.headers:
            message = "A suitable authentication must be done before looking at jobs"
            raise OarRefusal(401, "Permission denied", message)
        return oar.job(param(request, "job"), details=details)

    cluster, internal = "/clusters/{cluster}", "/internal/oarapi"
    return [
        Route("/sites", lambda _: JSONResponse(reference.sites(recorded)), methods=["GET"]),
        at("", lambda _: reference.site(recorded)),
        at("/clusters", lambda r: reference.clusters(recorded, queues(r))),
        at(cluster, lambda r: reference.one_cluster(recorded, param(r, "cluster"), queues(r))),
        at(f"{cluster}/nodes", lambda r: reference.nodes(recorded, param(r, "cluster"))),
        at(
            cluster + "/nodes/{node}",
            lambda r: reference.one_node(recorded, param(r, "cluster"), param(r, "node")),
        ),
        at("/jobs", lambda r: jobs.page(recorded, r.query_params)),
        at("/jobs/{job}", lambda r: jobs.one(recorded, param(r, "job"))),
        *(
            at(f"{internal}/{path}.json", partial(oar_jobs, form=form))
            for path, form in OAR_FORMS.items()
        ),
        at(internal + "/jobs/{job}/details.json", lambda r: oar_job(r, details=True)),
        at(internal + "/jobs/{job}.json", lambda r: oar_job(r, details=False)),
        at(
            f"{internal}/resources/details.json",
            lambda r: oar.resources(r.url.path, r.query_params),
        ),
        at(f"{internal}/version.json", lambda _: oar.version()),
        at(f"{internal}/timezone.json", lambda _: oar.timezone()),
        at("/metrics", lambda r: metrics.answer(recorded, r.query_params, limits)),
        at("/footprint/states", lambda _: states(recorded)),
    ]


def states(recorded: Recorded) -> list[dict[str, Any]]:
    """Notes on nodes that could not be used, as `site.states` reads them.

    The real API has no such history.
    """
    notes = recorded.states().select(
        "node",
        "state",
        **{"from": _iso("started_at"), "to": _iso("stopped_at")},
    )
    return notes.to_dicts()


def _iso(name: str) -> pl.Expr:
    return pl.col(name).dt.strftime(MICROSECONDS)


class _Guard:
    """Lets in who may ask."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._forbid = app, access.forbid
        self._wanted: bytes | None = None
        if access.username is not None:
            pair = f"{access.username}:{access.password}".encode()
            self._wanted = b"Basic " + base64.b64encode(pair)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        given = dict(scope["headers"]).get(b"authorization", b"")
        if self._wanted is not None and not secrets.compare_digest(given, self._wanted):
            asks = {"WWW-Authenticate": 'Basic realm="Grid\'5000 API"'}
            app = PlainTextResponse("Unauthorized", 401, asks)
        elif self._forbid is not None and re.search(self._forbid, scope["path"]):
            app = PlainTextResponse("You are not authorized to access this resource", 403)
        await app(scope, receive, send)
