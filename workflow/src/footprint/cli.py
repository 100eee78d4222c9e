"""The command `footprint`: what is asked for beside the workflow."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

try:
    import typer
except ModuleNotFoundError:
    raise SystemExit(
        "footprint: all but `footprint track` and `footprint report` need "
        "`pip install 'footprint[pipeline]'`"
    ) from None

from footprint.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The energy that deep-learning research really used, from the cluster's own logs.",
)
PORT = 8642
"""Usually served at: always the same, so that answers kept under its address stay valid."""

ConfigFiles = Annotated[
    list[Path],
    typer.Option(
        "--configfile",
        help="Configuration that overrides config.yaml, as for snakemake; may be repeated.",
    ),
]
Directory = Annotated[
    Path, typer.Option(help="Folder of the study, as for snakemake.", exists=True, file_okay=False)
]


@app.command()
def plan(
    configfile: ConfigFiles = [],  # noqa: B006 (how typer takes a repeated option)
    directory: Directory = Path(),
) -> None:
    """Say what a study would download: requests, samples, size, and nodes without power."""
    from footprint import settings
    from footprint.site.grid5000 import planning

    configfile = [path.absolute() for path in configfile]
    os.chdir(directory)
    print(planning.text(settings.load(settings.read(_files(configfile)))))


@app.command()
def serve(
    configfile: ConfigFiles = [],  # noqa: B006
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0: any that is free.")
    ] = PORT,
    username: Annotated[str | None, typer.Option(help="Ask for this user name.")] = None,
    password: Annotated[
        str | None, typer.Option(help="Ask for this password.", envvar="FOOTPRINT_SERVE_PASSWORD")
    ] = None,
    faults: Annotated[
        float,
        typer.Option(metavar="RATE", min=0, max=1, help="Share of the answers that go wrong."),
    ] = 0,
    kind: Annotated[
        list[str],
        typer.Option(
            metavar="KIND",
            help="Only faults of this kind; may be repeated. Errors: bad_gateway (502), "
            "gateway_timeout (504), too_many_requests (429), too_much_data (500). Connections: "
            "reset, truncated, delay. Lists of jobs with status 200: empty_list (a failure that "
            "looks like no jobs), total_without_items, cut_jobs (some without walltime, or without "
            "nodes and resources), twice_encoded (accents in directories encoded as UTF-8 twice).",
        ),
    ] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Another seed: other answers go wrong.")] = 0,
) -> None:
    """Offer the simulated site behind the API of Grid'5000, on this machine alone."""
    from footprint import serve as server
    from footprint import settings

    for each in kind:
        if each not in server.KINDS:
            known = ", ".join(server.KINDS)
            raise InputError(
                f"`{each}` is no kind of fault", where="--kind", do=f"choose among {known}"
            )
    config = settings.load(settings.read(_files(configfile)))
    wrong = server.Faults(seed=seed, rate=faults, kinds=kind or server.KINDS)
    server.run(config, port=port, username=username, password=password, faults=wrong)


@app.command()
def labels(
    directory: Directory = Path(),
    site: Annotated[str | None, typer.Option(help="Site, where the study has several.")] = None,
    paper: Annotated[str | None, typer.Option(help="Only runs labelled with this paper.")] = None,
    project: Annotated[str | None, typer.Option(help="Only runs of this project.")] = None,
    user: Annotated[str | None, typer.Option(help="Only runs of this login.")] = None,
    most: Annotated[int, typer.Option(min=1, help="How many runs.")] = 20,
    write: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Append a draft for each to this YAML label file."),
    ] = None,
) -> None:
    """List the runs that labels do not settle, those with the most energy first."""
    from footprint.phases import unlabelled

    study = unlabelled.read(directory, site=site)
    chosen = {"user": user, "project": project, "paper": paper}
    rows = unlabelled.ranked(study.runs, study.labelled, study.jobs, **chosen).collect()
    told = unlabelled.listing(rows, most=most)
    if write is not None:
        first = rows.head(most)
        n = unlabelled.write(first, write, study, published=directory / "results")
        told += f"\n{write}: {n} drafts written, {len(first) - n} of these runs were there already."
    print(told)


# Run before this module is loaded (`footprint.__main__`); here they are listed beside the others.
_APART = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@app.command(context_settings=_APART)
def track(context: typer.Context) -> None:
    """Run a command as it is, with a record of it for the footprint of a paper."""
    from footprint.tracker import command

    command.main(context.args)


@app.command(context_settings=_APART)
def report(context: typer.Context) -> None:
    """Say what tracked runs used: table, figure, and a sentence for the appendix of a paper."""
    from footprint.tracker import report as reporting

    raise typer.Exit(reporting.main(context.args))


def _files(configfile: list[Path]) -> list[Path]:
    """The configuration files of a command: config.yaml, where there is one, goes first."""
    here = Path("config.yaml")
    return [*([here] if here.is_file() or not configfile else []), *configfile]


def main() -> None:
    """Run the command; bad input is one line and exit status 1."""
    try:
        app()
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
