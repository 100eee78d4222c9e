"""The server: in its own thread, for tests and for the command."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp

from footprint.core.errors import InputError
from footprint.serve.app import API_PREFIX, Access, build_application
from footprint.serve.faults import Faults, FaultyApplication, ReceivedRequest
from footprint.serve.recorded import RecordedSite

HOST = "127.0.0.1"
KEEP_ALIVE_S = 60
INTERRUPT_CHECK_S = 0.2
"""Longest delay of the reaction to Ctrl-C."""

OPEN_ACCESS = Access()


class Certificate(NamedTuple):
    """A certificate for HTTPS and its private key, as files in PEM format."""

    certificate: Path
    private_key: Path


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        url: Address of the API, as for `source.url`.
        site: Name of the served site.
        faults: Choice of faults, with counts of those that occurred.
        requests: Requests in their order, with `log_requests`.
    """

    url: str
    site: str
    faults: Faults
    requests: list[ReceivedRequest]


@contextmanager
def running_server(
    config: Mapping[str, Any],
    *,
    port: int = 0,
    access: Access = OPEN_ACCESS,
    fail_nodes: Collection[str] = (),
    faults: Faults | None = None,
    log_requests: bool = False,
    certificate: Certificate | None = None,
) -> Iterator[Server]:
    """Serve the simulated site of a configuration on this machine alone.

    Args:
        config: A loaded configuration; its source is `simulated`, or `grid5000`.
        port: Port; 0: any free one.
        access: Who has access.
        fail_nodes: Nodes whose requests for readings always fail.
        faults: Choice of faults.
        log_requests: Whether requests are logged in `Server.requests`.
        certificate: Certificate for HTTPS; None: the server speaks HTTP.

    Raises:
        InputError: The source is `exports`, or the port is in use.
    """
    recorded = RecordedSite.from_config(config)
    app = build_application(recorded, access, fail_nodes)
    requests: list[ReceivedRequest] = []
    faults = faults or Faults()
    faulty = FaultyApplication(app, faults, requests if log_requests else None)
    with running_application(faulty, port=port, certificate=certificate) as address:
        yield Server(f"{address}{API_PREFIX}", recorded.name, faults, requests)


@contextmanager
def running_application(
    app: ASGIApp, *, port: int = 0, certificate: Certificate | None = None
) -> Iterator[str]:
    """Serve an application on this machine alone, and yield the address.

    Args:
        app: The application.
        port: Port; 0: any free one.
        certificate: Certificate for HTTPS; None: the server speaks HTTP.

    Raises:
        InputError: The port is in use.
    """
    served = uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            ssl_certfile=certificate and certificate.certificate,
            ssl_keyfile=certificate and certificate.private_key,
        )
    )
    served.config.load()
    with _listening_socket(port) as listener:
        thread = threading.Thread(target=served.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            while not served.started and thread.is_alive():
                time.sleep(0.005)
            scheme = "https" if certificate else "http"
            yield f"{scheme}://{HOST}:{listener.getsockname()[1]}"
        finally:
            served.should_exit = True
            thread.join()


def run_server(
    config: Mapping[str, Any],
    *,
    port: int,
    access: Access = OPEN_ACCESS,
    faults: Faults | None = None,
) -> None:
    """Serve until Ctrl-C, and print the configuration of a study of the served site.

    Raises:
        InputError: As for `running_server`.
    """
    with (
        suppress(KeyboardInterrupt),
        running_server(config, port=port, access=access, faults=faults) as server,
    ):
        print(_welcome_text(server, config, has_login=access.username is not None), flush=True)
        while True:
            # with other threads, an endless wait may not notice Ctrl-C
            time.sleep(INTERRUPT_CHECK_S)


def _welcome_text(server: Server, config: Mapping[str, Any], *, has_login: bool) -> str:
    study = config["study"]
    lines = [
        f"The simulated site {server.site} of {study['start']} to {study['end']} answers at",
        f"{server.url} until Ctrl-C. Configuration of a study of it:",
        "",
        "source:",
        "  kind: grid5000",
        f"  url: {server.url}",
        f"  states: /sites/{server.site}/footprint/states",
        "privacy:",
        "  key: public  # all people are simulated",
    ]
    if has_login:
        do = "Set FOOTPRINT_G5K_USERNAME and FOOTPRINT_G5K_PASSWORD to the login of this server."
        lines += ["", do]
    return "\n".join(lines)


@contextmanager
def _listening_socket(port: int) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            what = f"port {port} is not available ({error.strerror})"
            do = "set another port, or stop the program that uses it"
            raise InputError(what, where="--port", do=do) from None
        yield listener
