"""Parser of all commands, and their errors as one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import packages_distributions

from footprint import __version__
from footprint.cli import completion, server, studies, tables
from footprint.core.arguments import CommandParser
from footprint.core.errors import InputError

DESCRIPTION = "Measure the energy of deep-learning research from the logs of its cluster."


def build_parser() -> tuple[CommandParser, dict[str, CommandParser]]:
    """Return the parser of `footprint`, and that of each command by name."""
    parser = CommandParser(
        "footprint",
        description=DESCRIPTION,
        examples=[
            "footprint init ~/study          # asks about the cluster and the days",
            "footprint run ~/study           # computes results/report.html",
            "footprint track --paper mine -- python train.py",
        ],
    )
    parser.add_argument("--version", action="version", version=f"footprint {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=CommandParser)
    for module in (studies, tables, server, completion):
        module.add_commands(commands)
    # `footprint.__main__` runs these two without loading this module; here they are in the help
    commands.add_parser(
        "track", help="run a command, and record its energy for a paper", add_help=False
    )
    commands.add_parser("report", help="print the energy of tracked runs", add_help=False)
    return parser, dict(commands.choices)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; bad input gives one line and exit status 1.

    Args:
        arguments: Arguments after `footprint`; None: those of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser, commands = build_parser()
    if not words:
        parser.print_help()
        raise SystemExit(2)
    passed_on: list[str] = []
    if words[0] == "run" and "--" in words:
        place = words.index("--")
        words, passed_on = words[:place], words[place + 1 :]
    options = parser.parse_args(words, argparse.Namespace(passed_on=passed_on))
    try:
        _run(options, parser, commands)
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"footprint", *packages_distributions()}:
            raise
        print(
            f"footprint {options.command} needs `pip install 'footprint[pipeline]'` "
            f"({error.name} is not installed)",
            file=sys.stderr,
        )
        raise SystemExit(1) from None


def _run(
    options: argparse.Namespace, parser: CommandParser, commands: dict[str, CommandParser]
) -> None:
    if options.command == "completion":
        print(completion.script(options.shell, parser, commands), end="")
    else:
        options.call(options)
