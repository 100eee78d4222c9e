"""The command `serve`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from footprint.cli.configuration import add_configfile, read_configuration
from footprint.core.arguments import number
from footprint.core.names import check_known

DEFAULT_PORT = 8642
"""Default port; it is fixed, since answers are kept by address."""

KIND_HELP = (
    "kind of faults (default: all); may be repeated. Errors: bad_gateway (502), proxy_timeout "
    "(502, late), gateway_timeout (504), too_many_requests (429). Requests for much power: "
    "too_much_data, statement_timeout, out_of_memory, cut_rows (the first 5000 readings). Means: "
    "two_numbers (of one bucket). Connections: reset, truncated, delay. Lists of jobs with status "
    "200: empty_list (an empty list in place of the jobs), total_without_items, cut_jobs (some "
    "without walltime, or without nodes and resources), twice_encoded (accents in directories "
    "encoded as UTF-8 twice)."
)


def add_commands(commands: Any) -> None:
    """Add the command `serve`."""
    parser = commands.add_parser(
        "serve",
        help="serve the simulated site through the API of Grid'5000",
        description="Serve the simulated site through the API of Grid'5000, on this machine alone.",
        examples=["footprint serve --faults 0.05"],
    )
    parser.set_defaults(call=serve_site)
    add_configfile(parser)
    parser.add_argument(
        "--port",
        type=number(int, 0, 65_535),
        default=DEFAULT_PORT,
        help=f"port on 127.0.0.1; 0: any free port (default: {DEFAULT_PORT})",
    )
    parser.add_argument(
        "--username",
        metavar="NAME",
        help="user name that clients must give, with the password in the environment variable "
        "FOOTPRINT_SERVE_PASSWORD",
    )
    parser.add_argument(
        "--faults",
        metavar="RATE",
        type=number(float, 0, 1),
        default=0.0,
        help="share of the answers that are faulty (default: 0)",
    )
    parser.add_argument("--kind", metavar="KIND", action="append", default=[], help=KIND_HELP)
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the choice of faulty answers (default: 0)"
    )


def serve_site(options: argparse.Namespace) -> None:
    """Run the server until it is stopped.

    Raises:
        InputError: A kind of fault is not known, or the configuration cannot be used.
    """
    from footprint import serve as server

    for each in options.kind:
        check_known(each, server.FAULT_KINDS, where="--kind", what="kind of fault")
    config = read_configuration(Path(), options.configfile)
    # an option would be visible to all users of the machine, in the list of processes
    password = os.environ.get("FOOTPRINT_SERVE_PASSWORD")
    faults = server.Faults(
        seed=options.seed, rate=options.faults, kinds=options.kind or server.FAULT_KINDS
    )
    access = server.Access(options.username, password)
    server.run_server(config, port=options.port, access=access, faults=faults)
