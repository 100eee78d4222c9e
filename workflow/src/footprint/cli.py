"""The command `footprint`: commands beside the workflow."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

try:
    import typer
except ModuleNotFoundError:
    raise SystemExit(
        "footprint: all commands but `footprint track` and `footprint report` need "
        "`pip install 'footprint[pipeline]'`"
    ) from None

from footprint.core.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Measure the energy of deep-learning research from the logs of its cluster.",
)
# The parameters of a command are its options, one to one: typer makes the help from them.

DEFAULT_PORT = 8642
"""Default port of `footprint serve`; it is fixed, since answers are kept by address."""

ConfigFiles = Annotated[
    list[Path],
    typer.Option(
        "--configfile",
        help="Configuration file that overrides config.yaml, as for snakemake; may be repeated.",
    ),
]
Directory = Annotated[
    Path, typer.Option(help="Folder of the study, as for snakemake.", exists=True, file_okay=False)
]


@app.command("plan")
def print_plan(
    configfile: ConfigFiles = [],  # noqa: B006 (typer's form of a repeated option)
    directory: Directory = Path(),
) -> None:
    """Print the planned download of a study: requests, samples, size, nodes without power."""
    from footprint.config import plan, settings

    configfile = [path.absolute() for path in configfile]
    os.chdir(directory)
    print(
        plan.describe_download(
            settings.prepare_configuration(
                settings.read_configuration_files(_configuration_files(configfile))
            )
        )
    )


@app.command("check")
def check_tables(
    folder: Annotated[Path, typer.Argument(help="Folder of the tables (docs/your-cluster.md).")],
    node_pattern: Annotated[
        str | None, typer.Option(help="Pattern of node names, as source.node_pattern.")
    ] = None,
    power: Annotated[
        str, typer.Option(help="What energies are computed from: watts or counter.")
    ] = "watts",
    max_gap_s: Annotated[
        float, typer.Option(min=0, help="Longest time between readings that is no gap, in s.")
    ] = 30,
) -> None:
    """Check the tables of any cluster (source.kind: generic) before a study."""
    from footprint.sources import node_names
    from footprint.sources.generic import checking

    pattern = node_pattern or node_names.GENERIC_PATTERN
    node_names.check_pattern(pattern, where="--node-pattern")
    if power not in ("watts", "counter"):
        raise InputError(f"`{power}`", where="--power", do="set it to watts or counter")
    result = checking.check_folder(folder, pattern=pattern, power=power, max_gap_s=max_gap_s)
    for note in result.notes:
        print(note)
    for fault in result.faults:
        print(fault, file=sys.stderr)
    if result.faults:
        raise typer.Exit(1)
    print("The tables can be used.")


@app.command("serve")
def serve_site(
    configfile: ConfigFiles = [],  # noqa: B006
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0: any free port.")
    ] = DEFAULT_PORT,
    username: Annotated[
        str | None,
        typer.Option(
            help="User name that clients must give, with the password in the environment variable "
            "FOOTPRINT_SERVE_PASSWORD."
        ),
    ] = None,
    faults: Annotated[
        float,
        typer.Option(metavar="RATE", min=0, max=1, help="Share of the answers that are faulty."),
    ] = 0,
    kind: Annotated[
        list[str],
        typer.Option(
            metavar="KIND",
            help="Kind of faults (default: all); may be repeated. Errors: bad_gateway (502), "
            "proxy_timeout (502, late), gateway_timeout (504), too_many_requests (429). Requests "
            "for much power: too_much_data, statement_timeout, out_of_memory, cut_rows (the first "
            "5000 readings). Means: two_numbers (of one bucket). Connections: "
            "reset, truncated, delay. Lists of jobs with status 200: empty_list (an empty list in "
            "place of the jobs), total_without_items, cut_jobs (some without walltime, or without "
            "nodes and resources), twice_encoded (accents in directories encoded as UTF-8 twice).",
        ),
    ] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Seed of the choice of faulty answers.")] = 0,
) -> None:
    """Serve the simulated site through the API of Grid'5000, on this machine alone."""
    from footprint import serve as server
    from footprint.config import settings

    for each in kind:
        if each not in server.FAULT_KINDS:
            known = ", ".join(server.FAULT_KINDS)
            raise InputError(
                f"`{each}` is not a kind of fault", where="--kind", do=f"choose among {known}"
            )
    config = settings.prepare_configuration(
        settings.read_configuration_files(_configuration_files(configfile))
    )
    # an option would be visible to all users of the machine, in the list of processes
    password = os.environ.get("FOOTPRINT_SERVE_PASSWORD")
    planned_faults = server.Faults(seed=seed, rate=faults, kinds=kind or server.FAULT_KINDS)
    server.run_server(
        config, port=port, access=server.Access(username, password), faults=planned_faults
    )


@app.command("labels")
def propose_labels(
    directory: Directory = Path(),
    site: Annotated[str | None, typer.Option(help="Site, if the study has several.")] = None,
    paper: Annotated[str | None, typer.Option(help="Only runs labelled with this paper.")] = None,
    project: Annotated[str | None, typer.Option(help="Only runs of this project.")] = None,
    user: Annotated[str | None, typer.Option(help="Only runs of this login.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Number of groups to list.")] = 20,
    write: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Append a draft row for each group to this YAML file."),
    ] = None,
) -> None:
    """List groups of runs without a labelled kind, by decreasing energy in doubt."""
    from footprint.phases import label_drafts, label_proposals

    study = label_proposals.read_study(directory, site=site)
    rows = label_proposals.propose_groups(study, user=user, project=project, paper=paper)
    text = label_drafts.format_listing(rows, most=most, group_runs=study.group_runs.collect())
    if write is not None:
        listed = rows.head(most)
        n = label_drafts.append_drafts(listed, write, study, published=directory / "results")
        text += f"\n{write}: {n} drafts added, {len(listed) - n} were in the file already."
    print(text)


@app.command("publish")
def make_publication(
    configfile: ConfigFiles = [],  # noqa: B006
    directory: Directory = Path(),
) -> None:
    """Make the folder `publication` of a finished study: what may leave its team."""
    from footprint.config import publication, settings
    from footprint.report.publication import folder

    configfile = [path.absolute() for path in configfile]
    os.chdir(directory)
    config = settings.prepare_configuration(
        settings.read_configuration_files(_configuration_files(configfile))
    )
    made, withheld = folder.publish(publication.finished_study(config, Path()))
    print(f"{made}/: figures, tables, summary, report and archive. Withheld:")
    print("\n".join(f"- {each}" for each in withheld))


@app.command("calibrate")
def fit_calibration(
    folder: Annotated[
        Path, typer.Argument(help="Folder of saved answers of Kwollect.", exists=True)
    ],
    node: Annotated[str, typer.Option(help="Node that both meters read.")],
    metric: Annotated[str, typer.Option(help="Metric to calibrate.")] = "bmc_node_power_watt",
    reference: Annotated[
        str, typer.Option(help="Metric of the reference meter.")
    ] = "wattmetre_power_watt",
    window: Annotated[float, typer.Option(min=10, help="Length of a window in seconds.")] = 60,
) -> None:
    """Fit the line from readings to true power, and print it for a configuration."""
    from footprint.validation import line_fit

    samples = [
        line_fit.read_samples(folder, node=node, metric=each) for each in (metric, reference)
    ]
    windows = line_fit.mean_powers(*samples, window_s=window)
    print(f"# {len(windows)} windows of {window:g} s on {node}; readings of {metric}")
    print(line_fit.fit_line(windows).to_yaml(node.partition("-")[0]), end="")


# `footprint.__main__` runs these two without loading this module; here they appear in the help.
_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@app.command("track", context_settings=_PASSED_ON)
def run_tracked(context: typer.Context) -> None:
    """Run a command unchanged and record its energy for the footprint of a paper."""
    from footprint.tracker import command

    command.main(context.args)


@app.command("report", context_settings=_PASSED_ON)
def print_report(context: typer.Context) -> None:
    """Print the energy of tracked runs: table, bars, and a sentence for a paper's appendix."""
    from footprint.tracker import report

    raise typer.Exit(report.main(context.args))


def _configuration_files(configfile: list[Path]) -> list[Path]:
    """Configuration files of a command: config.yaml if it exists, then the overrides."""
    default = Path("config.yaml")
    return [*([default] if default.is_file() or not configfile else []), *configfile]


def main() -> None:
    """Run the command; bad input gives one line and exit status 1."""
    try:
        app()
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
