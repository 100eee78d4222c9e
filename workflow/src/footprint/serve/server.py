"""The server: in a thread of its own, for tests and for the command."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn

from footprint.errors import InputError
from footprint.serve import metrics
from footprint.serve.app import PREFIX, Access, application
from footprint.serve.faults import Asked, Faults, Faulty
from footprint.serve.recorded import Recorded

HOST = "127.0.0.1"
KEEP_ALIVE_S = 60
NOTICE_S = 0.2


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        url: Address of the API, as for `source.url`.
        site: The site that it serves.
        faults: What goes wrong, and how often it did.
        requests: Requests in the order in which they came, where a log was asked for.
    """

    url: str
    site: str
    faults: Faults
    requests: list[Asked]


@contextmanager
def running(
    config: Mapping[str, Any],
    *,
    port: int = 0,
    username: str | None = None,
    password: str | None = None,
    faults: Faults | None = None,
    log_requests: bool = False,
    max_rows: int = 1_000_000,
    fail_nodes: Collection[str] = (),
    former_name_until: str | None = None,
    forbid: str | None = None,
    certificate: Path | None = None,
    private_key: Path | None = None,
) -> Iterator[Server]:
    """Serve the simulated site of a configuration on this machine alone.

    Args:
        config: A loaded configuration; its source is `simulated`, or `grid5000`.
        port: Port; 0: any that is free.
        username: User name to ask for; None: anybody is welcome.
        password: Password to ask for.
        faults: What goes wrong on purpose.
        log_requests: Whether requests are kept.
        max_rows: Readings that one answer may hold.
        fail_nodes: Nodes of which no reading can be had.
        former_name_until: Day (ISO, UTC) before which readings have the metric's former name.
        forbid: Pattern of paths that nobody may ask for.
        certificate: Certificate for HTTPS, as PEM.
        private_key: Its key.

    Raises:
        InputError: A source that is made of files, a port in use, or one of user name and password.
    """
    if (username is None) != (password is None):
        missing = "password" if password is None else "username"
        raise InputError("missing", where=f"--{missing}", do="give both or none")
    recorded = Recorded.from_config(config)
    renamed = None if former_name_until is None else datetime.fromisoformat(former_name_until)
    limits = metrics.Limits(
        max_rows=max_rows,
        fail_nodes=frozenset(fail_nodes),
        former_name_until=renamed and renamed.replace(tzinfo=UTC),
    )
    app = application(recorded, limits, Access(username, password, forbid))
    requests: list[Asked] = []
    faults = faults or Faults()
    served = uvicorn.Server(
        uvicorn.Config(
            Faulty(app, faults, requests if log_requests else None),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            ssl_certfile=certificate,
            ssl_keyfile=private_key,
        )
    )
    served.config.load()
    with _listening(port) as listener:
        thread = threading.Thread(target=served.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            while not served.started and thread.is_alive():
                time.sleep(0.005)
            scheme = "https" if certificate else "http"
            url = f"{scheme}://{HOST}:{listener.getsockname()[1]}{PREFIX}"
            yield Server(url, recorded.name, faults, requests)
        finally:
            served.should_exit = True
            thread.join()


def run(
    config: Mapping[str, Any],
    *,
    port: int,
    username: str | None = None,
    password: str | None = None,
    faults: Faults | None = None,
) -> None:
    """Serve until Ctrl-C, and say how a study asks the server.

    Raises:
        InputError: As for `running`.
    """
    with (
        suppress(KeyboardInterrupt),
        running(config, port=port, username=username, password=password, faults=faults) as server,
    ):
        print(_welcome(server, config, asks=username is not None), flush=True)
        while True:
            # with other threads about, a wait without end may not notice Ctrl-C
            time.sleep(NOTICE_S)


def _welcome(server: Server, config: Mapping[str, Any], *, asks: bool) -> str:
    study = config["study"]
    lines = [
        f"The simulated site {server.site} of {study['start']} to {study['end']} answers at",
        f"{server.url} until Ctrl-C. For a study that asks it:",
        "",
        "source:",
        "  kind: grid5000",
        f"  url: {server.url}",
        f"  states: /sites/{server.site}/footprint/states",
        "privacy:",
        "  key: public  # nobody there is real",
    ]
    if asks:
        lines += ["", "with FOOTPRINT_G5K_USERNAME and FOOTPRINT_G5K_PASSWORD set as here."]
    return "\n".join(lines)


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            what = f"port {port} cannot be had ({error.strerror})"
            raise InputError(
                what, where="--port", do="choose another, or stop what has it"
            ) from None
        yield listener
