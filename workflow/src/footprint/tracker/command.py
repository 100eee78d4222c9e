"""`footprint track`: a command line, run as it is, with a record of it in the ledger."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from footprint.tracker import companion, facts, ledger, mask, process, recorder
from footprint.vocabulary import ALLOWED, STATEMENTS

WITHIN_VARIABLE = "FOOTPRINT_TRACKED_WITHIN"
DEVICES_VARIABLE = "FOOTPRINT_TRACK_DEVICES"
SUMMARY = "Run a command as it is, with a record of it for the footprint of a paper."


def parser() -> argparse.ArgumentParser:
    """The options of `footprint track`."""
    made = argparse.ArgumentParser(
        prog="footprint track",
        usage="footprint track [options] -- command [argument ...]",
        description=SUMMARY,
        allow_abbrev=False,
    )
    made.add_argument("--paper", help="paper that the run is for")
    for name, values in ALLOWED.items():
        made.add_argument(f"--{name}", choices=values, help=_HELP[name])
    made.add_argument("--note", help="anything to remember")
    made.add_argument(
        "--ledger",
        type=Path,
        metavar="DIR",
        help=f"folder of the records; else ${ledger.FOLDER_VARIABLE} or ~/.local/share/footprint",
    )
    made.add_argument(
        "--no-devices", action="store_true", help="do not read the energy of GPUs and processors"
    )
    made.add_argument(
        "--with",
        dest="companions",
        action="append",
        default=[],
        choices=companion.NAMES,
        help="run this tool beside the command",
    )
    made.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return made


_HELP = {
    "kind": "what the run is",
    "role": "whether it serves the model that the paper reports",
    "phase": "what the run counts as",
}


def main(arguments: Sequence[str]) -> NoReturn:
    """Run `footprint track`, and end as the command does.

    Args:
        arguments: What stands behind `footprint track`.
    """
    options = parser().parse_args(arguments)
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        parser().error("no command; as in `footprint track --paper mine -- python train.py`")
    if words[0].startswith("-"):
        parser().error(f"no command begins with a dash, as {words[0]}")
    for name in options.companions:
        if companion.missing(name):
            parser().error(f"--with {name} needs `pip install 'footprint[{name}]'`")
    process.end_as(_run(words, options))


def _run(words: Sequence[str], options: argparse.Namespace) -> process.Ended:
    """The command, tracked where that is possible, and run in any case."""
    try:
        own, span, inherited = _begin(words, options)
    except Exception as error:
        print(f"footprint track: not tracked ({error})", file=sys.stderr)
        return process.Command(words, os.environ).wait(lambda _: None)
    command = process.Command(words, {**os.environ, **inherited})
    own.watch()
    ended = command.wait(lambda number: own.note("signal", span, signal=_name(number)))
    own.end(
        span,
        exit_status=ended.exit_status,
        signal=None if ended.signal is None else _name(ended.signal),
    )
    return ended


def _begin(
    words: Sequence[str], options: argparse.Namespace
) -> tuple[recorder.Recorder, recorder.Span, dict[str, str]]:
    """Write the start, and give the variables that tell the command what is around it."""
    folder = (options.ledger or ledger.default_folder()).expanduser().absolute()
    known = facts.gather(os.environ)
    job = known["oar"]["job_id"] if known["oar"] else None
    file = ledger.Ledger(folder, job=job, host=known["host"])
    beside = [
        companion.CodeCarbon(folder / "codecarbon", job=job, identity=file.path.stem)
        for _ in set(options.companions)
    ]
    with_devices = not options.no_devices and os.environ.get(DEVICES_VARIABLE) != "0"
    find = recorder.sources() if with_devices else {}
    own = recorder.Recorder(file, find=find, companions=beside)
    span = own.begin(
        within=os.environ.get(WITHIN_VARIABLE),
        command=mask.masked(words),
        labels={name: getattr(options, name) for name in STATEMENTS if getattr(options, name)},
        note=options.note,
        **known,
    )
    inherited = {WITHIN_VARIABLE: span.identity, ledger.FOLDER_VARIABLE: str(folder)}
    return own, span, inherited | ({} if with_devices else {DEVICES_VARIABLE: "0"})


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"  # a real-time signal, most of which have no name


if __name__ == "__main__":
    main(sys.argv[1:])
