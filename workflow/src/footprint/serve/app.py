"""The services at the addresses of the Grid'5000 API."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from footprint.core.errors import InputError
from footprint.serve import jobs, metrics, reference
from footprint.serve.oarapi import OarApi
from footprint.serve.recorded import RecordedSite
from footprint.serve.refusals import (
    KWOLLECT_MEDIA_TYPE,
    OAR_MEDIA_TYPE,
    NotFound,
    OarRefusal,
    Refusal,
    refusal_response,
)

API_PREFIX = "/stable"
"""Prefix of all paths of the real API."""

MAX_AGE = "max-age=60"
"""How long answers of the Grid'5000 API may be kept by others."""

OAR_FORMS = {"jobs": "simple", "jobs/details": "details", "jobs/table": "table"}
ISO_FORMAT = "%Y-%m-%dT%H:%M:%S%.6fZ"
"""Format of times in UTC, to the microsecond."""


@dataclass(frozen=True)
class Access:
    """Who has access to the server.

    Attributes:
        username: Required user name; None: no login is needed.
        password: Required password.
        forbid: Pattern of paths that answer 403.

    Raises:
        InputError: The user name or the password is missing.
    """

    username: str | None = None
    password: str | None = None
    forbid: str | None = None

    def __post_init__(self) -> None:
        if (self.username is None) != (self.password is None):
            missing = "password" if self.password is None else "username"
            raise InputError("missing", where=f"--{missing}", do="set both or none")


def build_application(
    recorded: RecordedSite, access: Access, fail_nodes: Collection[str]
) -> ASGIApp:
    """Return all services, with and without the prefix of the real API.

    Args:
        recorded: What the services have on record.
        access: Who has access.
        fail_nodes: Nodes whose requests for readings always fail.
    """
    routes = _routes(recorded, fail_nodes)
    handlers = {Refusal: refusal_response}
    app = Starlette(routes=[*routes, Mount(API_PREFIX, routes=routes)], exception_handlers=handlers)
    return _Guard(app, access)


def _routes(recorded: RecordedSite, fail_nodes: Collection[str]) -> list[Route]:
    oar = OarApi(recorded)

    process = secrets.token_hex(8)

    def site_route(path: str, answer: Callable[[Request], Any]) -> Route:
        """A path of the site, answered with JSON and the headers of its service."""

        def endpoint(request: Request) -> Response:
            if request.path_params["site"] != recorded.name:
                raise NotFound(f"Cannot find resource /sites/{request.path_params['site']}")
            found = answer(request)
            if isinstance(found, bytes):
                return Response(found, media_type=KWOLLECT_MEDIA_TYPE)
            if path.startswith("/internal/oarapi"):
                return JSONResponse(found, media_type=OAR_MEDIA_TYPE)
            # ETags differ between processes of the real API for equal answers
            return JSONResponse(found, headers={"Cache-Control": MAX_AGE, "ETag": f'"{process}"'})

        return Route("/sites/{site}" + path, endpoint, methods=["GET"])

    def path_param(request: Request, name: str) -> str:
        return str(request.path_params[name])

    def queues_param(request: Request) -> str | None:
        return request.query_params.get("queues")

    def oar_jobs(request: Request, form: str) -> Any:
        return oar.jobs_page(request.url.path, request.query_params, form)

    def oar_job(request: Request, *, details: bool) -> Any:
        job_id = path_param(request, "job")
        if not job_id.isdecimal():
            unknown(request)
        if "authorization" not in request.headers:
            message = "A suitable authentication must be done before looking at jobs"
            raise OarRefusal(401, "Permission denied", message)
        return oar.one_job(job_id, details=details)

    def unknown(request: Request) -> Any:
        path = request.url.path.partition("/internal/oarapi")[2]
        raise OarRefusal(404, "Not found", f"No way to handle your request {path}")

    cluster, internal = "/clusters/{cluster}", "/internal/oarapi"
    return [
        Route(
            "/sites", lambda _: JSONResponse(reference.sites_collection(recorded)), methods=["GET"]
        ),
        site_route("", lambda _: reference.site_description(recorded)),
        site_route("/clusters", lambda r: reference.clusters_collection(recorded, queues_param(r))),
        site_route(
            cluster,
            lambda r: reference.one_cluster(recorded, path_param(r, "cluster"), queues_param(r)),
        ),
        site_route(
            f"{cluster}/nodes",
            lambda r: reference.nodes_collection(recorded, path_param(r, "cluster")),
        ),
        site_route(
            cluster + "/nodes/{node}",
            lambda r: reference.one_node(recorded, path_param(r, "cluster"), path_param(r, "node")),
        ),
        site_route("/jobs", lambda r: jobs.jobs_page(recorded, r.query_params)),
        site_route("/jobs/{job}", lambda r: jobs.one_job(recorded, path_param(r, "job"))),
        *(
            site_route(f"{internal}/{path}.json", partial(oar_jobs, form=form))
            for path, form in OAR_FORMS.items()
        ),
        site_route(internal + "/jobs/{job}/details.json", lambda r: oar_job(r, details=True)),
        site_route(internal + "/jobs/{job}.json", lambda r: oar_job(r, details=False)),
        site_route(
            f"{internal}/resources/details.json",
            lambda r: oar.resources_page(r.url.path, r.query_params),
        ),
        site_route(f"{internal}/version.json", lambda _: oar.version_document()),
        site_route(f"{internal}/timezone.json", lambda _: oar.timezone_document()),
        site_route(f"{internal}/{{path:path}}", unknown),
        site_route(
            "/metrics", lambda r: metrics.metrics_answer(recorded, r.query_params, fail_nodes)
        ),
        site_route("/footprint/states", lambda _: state_notes(recorded)),
    ]


def state_notes(recorded: RecordedSite) -> list[dict[str, Any]]:
    """Return notes on intervals in which nodes could not be used.

    `state_notes.read_states` reads them. The real API has no such history.
    """
    notes = recorded.states().select(
        "node",
        "state",
        **{"from": _iso_time("started_at"), "to": _iso_time("stopped_at")},
    )
    return notes.to_dicts()


def _iso_time(name: str) -> pl.Expr:
    return pl.col(name).dt.strftime(ISO_FORMAT)


class _Guard:
    """Checks the login and the path of each request."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._forbid = app, access.forbid
        self._login: bytes | None = None
        if access.username is not None:
            pair = f"{access.username}:{access.password}".encode()
            self._login = b"Basic " + base64.b64encode(pair)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        given = dict(scope["headers"]).get(b"authorization", b"")
        if self._login is not None and not secrets.compare_digest(given, self._login):
            headers = {"WWW-Authenticate": 'Basic realm="Grid\'5000 API"'}
            app = PlainTextResponse("Unauthorized", 401, headers)
        elif self._forbid is not None and re.search(self._forbid, scope["path"]):
            app = PlainTextResponse("You are not authorized to access this resource", 403)
        await app(scope, receive, send)
