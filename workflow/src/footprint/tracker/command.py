"""`footprint track`: run a command unchanged, and record it in the ledger."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from footprint.core.arguments import CommandParser
from footprint.core.vocabulary import LABEL_FIELDS, LABEL_VALUES
from footprint.tracker import (
    closing_line,
    companion,
    facts,
    ledger,
    mask,
    process,
    recorder,
    shared_accounts,
    signals,
)

WITHIN_VARIABLE = "FOOTPRINT_TRACKED_WITHIN"
DEVICES_VARIABLE = "FOOTPRINT_TRACK_DEVICES"
SUMMARY = "Run a command unchanged, and record it for the footprint of a paper."


def build_parser() -> argparse.ArgumentParser:
    """Parser of the options of `footprint track`."""
    parser = CommandParser(
        "footprint track",
        usage="footprint track [options] -- command [argument ...]",
        description=SUMMARY,
        examples=["footprint track --paper mine -- python train.py"],
    )
    parser.add_argument("--paper", help="paper that the run is for")
    for name, values in LABEL_VALUES.items():
        parser.add_argument(f"--{name}", choices=values, help=_LABEL_HELP[name])
    parser.add_argument("--note", help="free text")
    parser.add_argument(
        "--ledger",
        type=Path,
        metavar="DIR",
        help=f"folder of the ledger (default: ${ledger.FOLDER_VARIABLE}, else "
        "~/.local/share/footprint)",
    )
    parser.add_argument(
        "--no-devices", action="store_true", help="do not read the energy of GPUs and processors"
    )
    parser.add_argument(
        "--with",
        dest="companions",
        action="append",
        default=[],
        choices=companion.COMPANION_NAMES,
        help="run this tool beside the command",
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print no closing line on the terminal"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


_LABEL_HELP = {
    "kind": "kind of the run",
    "role": "whether the run serves the model that the paper reports",
    "phase": "phase that the run counts as",
    "stage": "stage of the work on the paper",
}


def main(arguments: Sequence[str]) -> NoReturn:
    """Run `footprint track`, and exit as the command did.

    Args:
        arguments: Arguments after `footprint track`.
    """
    signals.hold_signals()
    parser = build_parser()
    options = parser.parse_args(arguments)
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        parser.error("no command; write for example `footprint track --paper mine -- python x.py`")
    if words[0].startswith("-"):
        parser.error(f"{words[0]} is not a command: a command cannot begin with a dash")
    for name in options.companions:
        if companion.missing_package(name):
            parser.error(f"--with {name} needs `pip install 'footprint[{name}]'`")
    process.exit_as(_run_command(words, options))


def _run_command(words: Sequence[str], options: argparse.Namespace) -> process.CommandEnd:
    """Run the command in any case, and record it if a record can be started."""
    try:
        run_recorder, run, variables = _begin_run(words, options)
    except Exception as error:
        print(f"footprint track: not tracked ({error})", file=sys.stderr)
        return process.Command(words, os.environ).wait(lambda _: None)
    command = process.Command(words, {**os.environ, **variables})
    run_recorder.start_thread()
    ended = command.wait(
        lambda number: run_recorder.record_event("signal", run, signal=_signal_name(number))
    )
    usage = run_recorder.end_run(
        run,
        exit_status=ended.exit_status,
        signal=None if ended.signal is None else _signal_name(ended.signal),
    )
    if not options.quiet:
        unknown = _reason_of_unknown_energy(run_recorder, options)
        file = run_recorder.ledger
        path = None if file.has_failed else file.path
        closing_line.print_on_terminal(closing_line.describe_run(usage, unknown, path))
    return ended


def _reason_of_unknown_energy(run_recorder: recorder.Recorder, options: argparse.Namespace) -> str:
    if options.no_devices or os.environ.get(DEVICES_VARIABLE) == "0":
        return "devices are not read (--no-devices)"
    absent = run_recorder.absent_devices
    if absent is None:
        return "a driver did not respond in time"
    return ", and ".join(absent.values()) or "no reading succeeded"


def _begin_run(
    words: Sequence[str], options: argparse.Namespace
) -> tuple[recorder.Recorder, recorder.OngoingRun, dict[str, str]]:
    """Write the start record of a command.

    Returns:
        The recorder, the run, and the variables by which trackers inside the command find it.
    """
    folder = (options.ledger or ledger.default_folder()).expanduser().absolute()
    start_facts = facts.start_facts(os.environ)
    job = start_facts["oar"]["job_id"] if start_facts["oar"] else None
    file = ledger.Ledger(folder, job=job, host=start_facts["host"])
    companions = [
        companion.CodeCarbon(folder / ledger.COMPANION_FOLDER, job=job, identity=file.path.stem)
        for _ in set(options.companions)
    ]
    with_devices = not options.no_devices and os.environ.get(DEVICES_VARIABLE) != "0"
    sources = recorder.device_sources() if with_devices else {}
    group = shared_accounts.new_group()
    run_recorder = recorder.Recorder(
        file,
        sources=sources,
        companions=companions,
        accounts=shared_accounts.SharedAccounts(group) if sources else None,
    )
    run = run_recorder.begin_run(
        within=os.environ.get(WITHIN_VARIABLE),
        command=mask.mask_secrets(words),
        labels={name: getattr(options, name) for name in LABEL_FIELDS if getattr(options, name)},
        note=None if options.note is None else mask.mask_text(options.note),
        **start_facts,
    )
    variables = {
        WITHIN_VARIABLE: run.identity,
        shared_accounts.GROUP_VARIABLE: group,
        ledger.FOLDER_VARIABLE: str(folder),
    }
    return run_recorder, run, variables | ({} if with_devices else {DEVICES_VARIABLE: "0"})


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"  # most real-time signals have no name


if __name__ == "__main__":
    main(sys.argv[1:])
