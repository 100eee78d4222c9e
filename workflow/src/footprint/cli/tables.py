"""The commands `plan`, `check`, `labels`, `publish` and `calibrate`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from footprint.cli.configuration import add_configfile, add_directory, read_configuration
from footprint.core.arguments import existing_folder, number


def add_commands(commands: Any) -> None:
    """Add the commands."""
    _add_plan(commands)
    _add_check(commands)
    _add_labels(commands)
    _add_publish(commands)
    _add_calibrate(commands)


def _add_plan(commands: Any) -> None:
    parser = commands.add_parser(
        "plan",
        help="print what a study will download or read, and its size",
        description="Print what a study will download or read: requests, samples and size, and "
        "the nodes without power.",
        examples=["footprint plan --directory ~/study"],
    )
    parser.set_defaults(call=print_plan)
    add_configfile(parser)
    add_directory(parser)


def print_plan(options: argparse.Namespace) -> None:
    """Print the plan of a study.

    Raises:
        InputError: The configuration cannot be used, or a service refuses a request.
    """
    from footprint.config import plan

    print(plan.describe_plan(read_configuration(options.directory, options.configfile)))


def _add_check(commands: Any) -> None:
    parser = commands.add_parser(
        "check",
        help="check the tables of any cluster before a study",
        description="Check the tables of any cluster (source.kind: generic) before a study.",
        examples=["footprint check ~/tables --power counter"],
    )
    parser.set_defaults(call=check_tables)
    parser.add_argument("folder", type=Path, help="folder of the tables (docs/your-cluster.md)")
    parser.add_argument(
        "--node-pattern", metavar="REGEX", help="pattern of node names, as source.node_pattern"
    )
    parser.add_argument(
        "--power",
        choices=["watts", "counter"],
        default="watts",
        help="what energies are computed from (default: watts)",
    )
    parser.add_argument(
        "--max-gap-s",
        type=number(float, 0),
        default=30,
        metavar="S",
        help="longest time between readings that is no gap, in s (default: 30)",
    )


def check_tables(options: argparse.Namespace) -> None:
    """Print the notes and faults of a folder; exit with status 1 if there are faults.

    Raises:
        InputError: The pattern or the folder cannot be used.
    """
    from footprint.sources import node_names
    from footprint.sources.generic import checking

    pattern = options.node_pattern or node_names.GENERIC_PATTERN
    node_names.check_pattern(pattern, where="--node-pattern")
    result = checking.check_folder(
        options.folder, pattern=pattern, power=options.power, max_gap_s=options.max_gap_s
    )
    for note in result.notes:
        print(note)
    for fault in result.faults:
        print(fault, file=sys.stderr)
    if result.faults:
        raise SystemExit(1)
    print("The tables can be used.")


def _add_labels(commands: Any) -> None:
    parser = commands.add_parser(
        "labels",
        help="list the runs that most need a label, and write drafts",
        description="List groups of runs without a labelled kind, by decreasing energy in doubt.",
        examples=[
            "footprint labels --directory ~/study --paper mine",
            "footprint labels --directory ~/study --write labels.yaml",
        ],
    )
    parser.set_defaults(call=propose_labels)
    add_directory(parser)
    parser.add_argument("--site", help="site, if the study has several")
    parser.add_argument("--paper", help="only runs labelled with this paper")
    parser.add_argument("--project", help="only runs of this project")
    parser.add_argument("--user", metavar="LOGIN", help="only runs of this login")
    parser.add_argument(
        "--most",
        type=number(int, 1),
        default=20,
        metavar="N",
        help="number of groups to list (default: 20)",
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="append a draft row for each group to this YAML file",
    )


def propose_labels(options: argparse.Namespace) -> None:
    """Print groups of runs, and append drafts to a file if asked.

    Raises:
        InputError: A table is missing, a name is not known, or the file cannot be used.
    """
    from footprint.phases import label_drafts, label_proposals

    study = label_proposals.read_study(options.directory, site=options.site)
    rows = label_proposals.propose_groups(
        study, user=options.user, project=options.project, paper=options.paper
    )
    groups = study.group_runs.collect()
    text = label_drafts.format_listing(rows, most=options.most, group_runs=groups)
    if options.write is not None:
        listed = rows.head(options.most)
        published = options.directory / "results"
        n = label_drafts.append_drafts(listed, options.write, study, published=published)
        text += f"\n{options.write}: {n} drafts added, {len(listed) - n} were in the file already."
    print(text)


def _add_publish(commands: Any) -> None:
    parser = commands.add_parser(
        "publish",
        help="make the folder that may leave the team",
        description="Make the folder `publication` of a finished study: what may leave its team.",
        examples=["footprint publish --directory ~/study"],
    )
    parser.set_defaults(call=make_publication)
    add_configfile(parser)
    add_directory(parser)


def make_publication(options: argparse.Namespace) -> None:
    """Make the publication, and print what it withholds.

    Raises:
        InputError: The study is not finished, or the folder is of somebody else.
    """
    from footprint.config import publication
    from footprint.report.publication import folder

    config = read_configuration(options.directory, options.configfile)
    made, withheld = folder.publish(publication.finished_study(config, Path()))
    print(f"{made}/: figures, tables, summary, report and archive. Withheld:")
    print("\n".join(f"- {each}" for each in withheld))


def _add_calibrate(commands: Any) -> None:
    parser = commands.add_parser(
        "calibrate",
        help="fit a sensor to a reference meter",
        description="Fit the line from readings to true power, and print it for a configuration.",
        examples=["footprint calibrate answers/ --node gemini-1"],
    )
    parser.set_defaults(call=fit_calibration)
    parser.add_argument("folder", type=existing_folder, help="folder of saved answers of Kwollect")
    parser.add_argument("--node", required=True, help="node that both meters read")
    parser.add_argument(
        "--metric",
        default="bmc_node_power_watt",
        help="metric to calibrate (default: bmc_node_power_watt)",
    )
    parser.add_argument(
        "--reference",
        default="wattmetre_power_watt",
        metavar="METRIC",
        help="metric of the reference meter (default: wattmetre_power_watt)",
    )
    parser.add_argument(
        "--window",
        type=number(float, 10),
        default=60,
        metavar="S",
        help="length of a window in s (default: 60)",
    )


def fit_calibration(options: argparse.Namespace) -> None:
    """Print the line of a cluster.

    Raises:
        InputError: A metric has no readings.
    """
    from footprint.validation import line_fit

    samples = [
        line_fit.read_samples(options.folder, node=options.node, metric=each)
        for each in (options.metric, options.reference)
    ]
    windows = line_fit.mean_powers(*samples, window_s=options.window)
    print(
        f"# {len(windows)} windows of {options.window:g} s on {options.node}; "
        f"readings of {options.metric}"
    )
    print(line_fit.fit_line(windows).to_yaml(options.node.partition("-")[0]), end="")
