"""The commands `init`, `run` and `explain`, on the folder of a study."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from footprint.cli.configuration import add_directory
from footprint.core.arguments import existing_folder, number
from footprint.core.errors import InputError

SOURCES = ("grid5000", "exports", "generic", "simulated")
WITH_FOLDER = ("exports", "generic")
QUESTIONS = {
    "source": "Source of the records (grid5000, exports, generic tables, simulated)",
    "site": "Name of the site or cluster",
    "start": "First day (UTC), as 2025-03-03",
    "end": "Day after the last day (UTC)",
    "data": "Folder of the saved files",
}


def add_commands(commands: Any) -> None:
    """Add the commands."""
    _add_init(commands)
    _add_run(commands)
    _add_explain(commands)


def _add_init(commands: Any) -> None:
    parser = commands.add_parser(
        "init",
        help="make the folder of a study by a few questions",
        description="Make the folder of a study: config.yaml, labels.yaml, and a key for the "
        "pseudonyms of real people. What no option gives is asked in the terminal.",
        examples=[
            "footprint init ~/study",
            "footprint init ~/study --source grid5000 --site nancy --start 2025-03-03 "
            "--end 2025-04-28",
        ],
    )
    parser.set_defaults(call=make_study)
    parser.add_argument("folder", type=Path, help="folder of the study; made if it is missing")
    parser.add_argument("--source", choices=SOURCES, help="where the records come from")
    parser.add_argument("--site", help="site of Grid'5000, or a name for the cluster")
    parser.add_argument("--start", metavar="DAY", help="first day, UTC")
    parser.add_argument("--end", metavar="DAY", help="day after the last one, UTC")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of saved files or tables")
    parser.add_argument(
        "--key",
        type=Path,
        default=Path("~/footprint.key"),
        metavar="FILE",
        help="secret key of the pseudonyms; made if it is missing (default: ~/footprint.key)",
    )


def make_study(options: argparse.Namespace) -> None:
    """Write the files of a study, and print what comes next.

    Raises:
        InputError: A file exists already, an answer cannot be used, or there is no terminal.
    """
    from footprint.config import study_folder

    source = options.source or _ask("source", default=SOURCES[0])
    given = {name: getattr(options, name) or _ask(name) for name in ("site", "start", "end")}
    needs_data = source in WITH_FOLDER
    data = (options.data or Path(_ask("data"))) if needs_data else None
    written = study_folder.write_study(
        options.folder.expanduser(), source=source, **given, data=data, key=options.key.expanduser()
    )
    print("\n".join(f"wrote {path}" for path in written))
    shown = shlex.quote(str(options.folder))
    if source == "grid5000":
        print(f"next: footprint plan --directory {shown}")
    print(f"next: footprint run {shown}")


def _ask(name: str, default: str = "") -> str:
    """Answer to a question in the terminal."""
    if not sys.stdin.isatty():
        raise InputError("missing", where=f"--{name}", do="set it, or run this in a terminal")
    today = f" [{default}]" if default else ""
    while True:
        answer = input(f"{QUESTIONS[name]}{today}: ").strip() or default
        if answer:
            return answer


def _add_run(commands: Any) -> None:
    parser = commands.add_parser(
        "run",
        help="compute the results of a study",
        description="Compute the results of a study with Snakemake, in its folder. Options after "
        "-- go to snakemake.",
        examples=[
            "footprint run ~/study",
            "footprint run ~/study --oar           # rules as jobs of OAR",
            "footprint run ~/study -- -n           # show what would run",
        ],
    )
    parser.set_defaults(call=run_study)
    parser.add_argument(
        "folder", type=existing_folder, nargs="?", default=Path(), help="folder (default: this one)"
    )
    parser.add_argument(
        "--cores", type=number(int, 1), metavar="N", help="cores to use (default: all)"
    )
    parser.add_argument("--oar", action="store_true", help="run rules as jobs of OAR (docs/oar.md)")


def snakemake_command(
    folder: Path, *, cores: int | None, oar: bool, options: list[str]
) -> list[str]:
    """Return the call of Snakemake for a study.

    Args:
        folder: Folder of the study, with config.yaml.
        cores: Number of cores; None: all of this process.
        oar: Whether rules run as jobs of OAR.
        options: Further options of Snakemake.

    Raises:
        InputError: The folder has no config.yaml, or the workflow is not installed here.
    """
    if not (folder / "config.yaml").is_file():
        raise InputError(
            "there is no such file",
            where=str(folder / "config.yaml"),
            do=f"make the study with `footprint init {shlex.quote(str(folder))}`",
        )
    root = Path(__file__).parents[4]
    if not (root / "Snakefile").is_file():
        raise InputError(
            "the workflow is not installed with this package",
            where="footprint run",
            do="clone the repository, and run this command there with `uv run footprint run`",
        )
    words = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile")]
    words += ["--directory", str(folder)]
    if oar:
        words += ["--profile", str(root / "profiles/grid5000")]
    else:
        words += ["--cores", str(cores or len(os.sched_getaffinity(0)))]
    return words + options


def run_study(options: argparse.Namespace) -> None:
    """Replace this process by Snakemake.

    Raises:
        InputError: See `snakemake_command`; or cores are given for OAR.
    """
    if options.oar and options.cores:
        raise InputError(
            "OAR gives the cores", where="--cores", do="remove it, or set cores in the profile"
        )
    words = snakemake_command(
        options.folder, cores=options.cores, oar=options.oar, options=options.passed_on
    )
    print(shlex.join(["snakemake", *words[3:]]), file=sys.stderr, flush=True)
    os.execv(words[0], words)


def _add_explain(commands: Any) -> None:
    parser = commands.add_parser(
        "explain",
        help="print all about one job: power, energy, kind, and why",
        description="Print all about one job of a finished study: its allocations with share and "
        "power, its energy with interval and basis, and its kind with the reasons.",
        examples=["footprint explain 5204183 --directory ~/study"],
    )
    parser.set_defaults(call=explain)
    parser.add_argument("job", type=number(int, 0), help="id of the job")
    add_directory(parser)


def explain(options: argparse.Namespace) -> None:
    """Print the explanation of a job.

    Raises:
        InputError: The study is not finished, or has no such job.
    """
    from footprint.report import job_explanation

    print(job_explanation.explain_job(options.directory, options.job))
