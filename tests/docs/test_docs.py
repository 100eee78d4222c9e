"""README and docs match the code: pages, links, commands, keys, files, examples."""

import ast
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import dataframely as dy
import dictionary
import polars as pl
import pytest
import yaml

from footprint.config import settings
from footprint.core import json_schema, pseudonyms
from footprint.core.errors import InputError
from footprint.energy.study_energy import CIRCULAR_REASON, TRIMMED_REASON
from footprint.estimators import recorded_runs
from footprint.levels import eco2mix
from footprint.schemas.catalogue import TABLES
from footprint.sources.exports import folders
from footprint.sources.exports.site import ExportedSite
from footprint.sources.kwollect import metrics
from footprint.sources.oar import job_checks
from footprint.sources.oar.fields import IMPOSSIBLE_NUMBER, NOT_A_NUMBER
from footprint.sources.oar.held_resources import REPEATED_KEY
from footprint.sources.oar.job_records import NOT_A_JOB
from footprint.sources.oar.listing_totals import NOT_LISTED
from footprint.sources.simulated import hardware
from footprint.sources.tool_logs import runs as recorded_files

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
EXPORTS = ROOT / "docs/exports.md"
RENEW = runpy.run_path(str(ROOT / "docs/renew.py"))
METRIC = "bmc_node_power_watt"


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def fenced_blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.M | re.S)


def code_of(page: Path) -> str:
    """Text of fenced blocks, indented lines and backticks, one per line."""
    text = text_of(page)
    indented = re.findall(r"^    .*", text, re.M)
    return "\n".join([*fenced_blocks(page, r"\w*"), *indented, *re.findall(r"`([^`\n]+)`", text)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("snakemake")


# --- pages generated from the code ---------------------------------------------------------------


@pytest.mark.workflow
def test_generated_pages_are_up_to_date(folder: Path) -> None:
    stale = [
        path.relative_to(ROOT).as_posix()
        for path, text in RENEW["generated_pages"](folder).items()
        if not path.is_file() or text_of(path) != text
    ]
    assert stale == [], "the code has changed: run `make docs`"


@pytest.mark.workflow
def test_readme_graph_has_the_arrows_that_snakemake_prints(folder: Path) -> None:
    printed = RENEW["run_snakemake"](folder, "--rulegraph", "mermaid-js")
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]$", printed, re.M))
    arrows = re.findall(r"^\s*(id\d+) --> (id\d+)$", printed, re.M)
    [block] = fenced_blocks(README, "mermaid")
    shown = re.findall(r"^ {4}(\w+) --> (\w+)$", block, re.M)
    assert len(shown) == len(set(shown)) == len(block.splitlines()) - 1
    assert set(shown) == {(names[start], names[to]) for start, to in arrows}
    assert {rule for arrow in shown for rule in arrow} == set(names.values())


def test_rule_graph_does_not_depend_on_the_order_of_snakemake() -> None:
    expected = "flowchart TB\n    a --> b\n    a --> c\n    b --> c\n"
    one = "id0[c]\nid1[b]\nid2[a]\nid1 --> id0\nid2 --> id1\nid2 --> id0\n"
    other = "id2[c]\nid0[a]\nid1[b]\nid0 --> id2\nid0 --> id1\nid1 --> id2\n"
    assert RENEW["rule_graph"](one) == RENEW["rule_graph"](other) == expected


class Readings(dy.Schema):
    """Readings of a node. They are many.

    What | they are.
    """

    node = dy.String(primary_key=True, description="Name")
    cls = dy.Enum(["on", "off"], alias="class", description="State | of it")
    share = dy.Float64(nullable=True, min=-1e-9, max=1 + 1e-9)
    n = dy.Int64(min=0, metadata={"unit": "rows"}, description="How many")
    power_w = dy.Float64(min_exclusive=0, metadata={"unit": "W"})
    gpus = dy.List(dy.UInt8(nullable=True))
    pauses = dy.List(dy.Struct({"at": dy.Date(), "to": dy.Date(nullable=True)}), nullable=True)

    @dy.rule()
    def fits(cls) -> pl.Expr:
        return pl.col("class") != "off"


def test_data_dictionary_page_describes_a_table_by_its_declaration() -> None:
    page = dictionary.data_dictionary_page({"readings": (Readings, "results/<site>.parquet")})
    lines = page.splitlines()
    assert "| [readings](#readings) | `results/<site>.parquet` | Readings of a node |" in lines
    section = page[page.index("## readings") :]
    assert section == (
        "## readings\n\n`results/<site>.parquet`\n\nReadings of a node. They are many.\n\n"
        "What | they are.\n\nKey: `node`.\n\n"
        "| column | type | unit | may be | meaning |\n| --- | --- | --- | --- | --- |\n"
        "| `node` | String |  |  | Name |\n"
        "| `class` | `on`, `off` |  |  | State \\| of it |\n"
        "| `share` | Float64, 0 to 1 |  | null |  |\n"
        "| `n` | Int64 ≥ 0 | rows |  | How many |\n"
        "| `power_w` | Float64 > 0 | W |  |  |\n"
        "| `gpus` | list of (UInt8 or null) |  |  |  |\n"
        "| `pauses` | list of (`at` Date, `to` (Date or null)) |  | null |  |\n\n"
        'Rule `fits`: `pl.col("class") != "off"`.\n'
    )


def test_data_dictionary_has_all_tables_columns_and_rules() -> None:
    page = text_of(ROOT / "docs/data-dictionary.md")
    assert re.findall(r"^## (\w+)$", page, re.M) == list(TABLES)
    for declared, path in TABLES.values():
        assert f"\n`{path}`\n" in page
        for name, column in declared.columns().items():
            assert column.description, f"{declared.__name__}.{name} has no description"
            assert f"\n| `{name}` |" in page
        for rule in re.findall(r'- "(\w+)": ', str(declared).partition("Rules:")[2]):
            assert f"\nRule `{rule}`: `" in page


def test_configuration_page_describes_keys_by_their_schema() -> None:
    day = {"type": "string", "format": "date", "description": "A day."}
    line = {"type": "object", "description": "Lines.", "default": {}}
    most = {"type": "object", "properties": {"hours": {"type": "number", "description": "Hours."}}}
    slope = {"type": "number", "exclusiveMinimum": 0, "default": 1.5, "description": "Slope."}
    names = {"type": "array", "items": {"type": "string"}}
    keys = {
        "start": day,
        "kind": {"enum": ["a", "b"], "default": "a", "description": "One\n  of | two."},
        "which": {"anyOf": [{"const": "all"}, names], "default": "all", "description": "Names."},
        "whole": {"type": ["integer", "null"], "minimum": 0, "default": None, "description": "N."},
        "yes": {"type": "boolean", "default": True, "description": "Yes?"},
        "mix": line | {"propertyNames": {"enum": ["x"]}, "additionalProperties": slope},
        "lines": line | {"additionalProperties": {"properties": {"slope": slope}}},
        "most": most | {"description": "Most.", "default": {}},
    }
    study = {"description": "What is studied.", "properties": keys, "required": ["start"]}
    page = dictionary.configuration_page(
        {"description": "All keys.", "properties": {"study": study}}
    )
    assert page[page.index("All keys.") :] == (
        "All keys.\n\n## study\n\nWhat is studied.\n\n"
        "| key | values | default | meaning |\n| --- | --- | --- | --- |\n"
        "| `start` | day | *required* | A day. |\n"
        "| `kind` | `a`, `b` | `a` | One of \\| two. |\n"
        "| `which` | `all` or list of texts | `all` | Names. |\n"
        "| `whole` | whole number ≥ 0 |  | N. |\n"
        "| `yes` | `true`, `false` | `true` | Yes? |\n"
        "| `mix` | number > 0, by `x` | `{}` | Lines. |\n"
        "| `lines` | the keys below, by name | `{}` | Lines. |\n"
        "| `lines.<name>.slope` | number > 0 | `1.5` | Slope. |\n"
        "| `most` | the keys below | `{}` | Most. |\n| `most.hours` | number |  | Hours. |\n"
    )


def keys_of(shape: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, each in shape.get("properties", {}).items():
        yield json_schema.key_path(path, key)
        yield from keys_of(each, json_schema.key_path(path, key))


def test_configuration_page_has_all_keys_of_the_schema() -> None:
    page = text_of(ROOT / "docs/configuration.md")
    whole = json_schema.read_schema(settings.SCHEMA_PATH)
    assert re.findall(r"^## (\w+)$", page, re.M) == list(whole["properties"])
    missing = [
        path
        for path in keys_of(whole)
        if "." in path and f"\n| `{path.partition('.')[2]}` |" not in page
    ]
    assert missing == []


# --- links, commands, keys and files in pages ----------------------------------------------------


def heading_anchors(page: Path) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_pages_lead_to_files_and_headings(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", text_of(page))
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in heading_anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_in_pages_exist(page: Path) -> None:
    pattern = r"(?<![\w./~-])(?:workflow|docs|envs|tests|profiles|notebooks)/[\w./-]*\w"
    missing = [each for each in re.findall(pattern, text_of(page)) if not (ROOT / each).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_named_in_pages_exist(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", text_of(ROOT / "Makefile"), re.M))
    named = set(re.findall(r"(?:^|\s)make ([\w-]+)", code_of(page), re.M))
    assert named - targets == set()


def test_readme_names_every_make_target() -> None:
    targets = set(re.findall(r"^([\w-]+):", text_of(ROOT / "Makefile"), re.M))
    assert targets == set(re.findall(r"\bmake ([\w-]+)", code_of(README)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snakemake_commands_in_pages_are_valid(page: Path) -> None:
    from snakemake.cli import get_argument_parser

    for command in re.findall(r"^\s*(?:uv run )?snakemake( .+)$", code_of(page), re.M):
        words = shlex.split(command.partition("`")[0])
        options = get_argument_parser().parse_args(words)
        assert set(options.targets) <= {"all", "validation"}, command
        for file in options.configfile or []:
            assert (ROOT / file).is_file(), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_configurations_in_pages_match_the_schema(page: Path) -> None:
    shown = [
        each for each in map(yaml.safe_load, fenced_blocks(page, "yaml")) if isinstance(each, dict)
    ]
    study = {"site": "nancy", "start": "2025-03-03", "end": "2025-04-28"}
    for config in shown:
        plain = json.loads(json.dumps({"study": study} | config, default=str))
        json_schema.complete_configuration(
            plain, schema=json_schema.read_schema(settings.SCHEMA_PATH)
        )


def test_schema_refuses_a_wrong_key() -> None:
    with pytest.raises(InputError, match=r"study\.stop: unknown key"):
        json_schema.complete_configuration(
            {"study": {"stop": 1}}, schema=json_schema.read_schema(settings.SCHEMA_PATH)
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_configuration_keys_named_in_pages_exist(page: Path) -> None:
    whole = json_schema.read_schema(settings.SCHEMA_PATH)
    sections = "|".join(whole["properties"])
    endings = "parquet|py|md|svg|pdf|png|csv|html|tex|yaml"
    named = re.findall(rf"(?<![\w/.-])(?:{sections})\.(?!(?:{endings})\b)[a-z_]\w*", code_of(page))
    assert set(named) - set(keys_of(whole)) == set()


def results_tree() -> list[str]:
    """Patterns of the files in the README's tree of results; folders end with a slash."""
    [block] = re.findall(r"\n((?: {4}.*\n)* {4}results/\n(?: {4}.*\n)+)", text_of(README))
    stack: list[tuple[int, str]] = []
    found = []
    for line in block.splitlines():
        indent = len(line) - len(line.lstrip())
        names = re.split(r"\s{2,}", line.strip())[0].split(", ")
        while stack and stack[-1][0] >= indent:
            stack.pop()
        parent = "".join(name for _, name in stack)
        found += [parent + name for name in names]
        if names[-1].endswith("/"):
            stack.append((indent, names[-1]))
    return found


@pytest.mark.workflow
def test_readme_tree_of_results_matches_the_outputs_of_a_run(folder: Path) -> None:
    summary = RENEW["run_snakemake"](folder, "--summary").splitlines()[1:]
    outputs = {line.split("\t")[0] for line in summary}
    results = {each for each in outputs if each.startswith("results/")}
    tree = [each for each in results_tree() if each.startswith("results/")]
    assert len(results) > 20
    files = [each for each in tree if not each.endswith("/")]
    several = (
        *("tables/", "months/", "gaps/", "node_power/"),
        *("gpu_power/", "cpu_series/", "power_histograms/"),
    )
    whole_folders = [each for each in tree if each.endswith(several)]
    assert [each for each in files if not any(fnmatch(name, each) for name in results)] == []
    patterns = [*files, *(f"{each}*" for each in whole_folders)]
    assert [each for each in results if not any(fnmatch(each, name) for name in patterns)] == []
    for stem in {Path(each).stem for each in results if each.startswith("results/tables/")}:
        assert re.search(rf"^ +tables/ .*\b{stem}\b", text_of(README), re.M)


def test_readme_has_the_number_of_simulated_nodes() -> None:
    count = sum(hardware.node_counts({}).values())
    assert f"simulated site](docs/simulated-site.md) of\n{count} nodes over 8 weeks" in text_of(
        README
    )


# --- exports: the commands and the examples ------------------------------------------------------

NODE = {
    "architecture": {
        "nb_procs": 2,
        "nb_cores": 4,
        "nb_threads": 8,
        "cpu_core_numbering": "contiguous",
    }
}
CURL = """#!/bin/sh
for address; do :; done
echo "$address" >> "$HOME/asked"
case "$address" in
    */clusters\\?queues=all*) cat "$HOME/clusters.json" ;;
    */clusters/*/nodes\\?*)
        name=${address##*/clusters/}
        cat "$HOME/${name%%/*}.json" ;;
    */metrics\\?*) echo '[]' ;;
    *) exit 22 ;;
esac
"""
OARSTAT = '#!/bin/sh\necho "oarstat $*" >> "$HOME/asked"\ncat "$HOME/gantt.json"\n'


@pytest.fixture
def frontend(tmp_path: Path) -> dict[str, str]:
    """Environment of a frontend with stand-ins for its services, clusters of 23 and 2 nodes."""
    for tool in ("bash", "jq"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed, and the commands of docs/exports.md use it")
    for name, script in {"curl": CURL, "oarstat": OARSTAT}.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)
    for cluster, count in {"graffiti": 23, "grele": 2}.items():
        items = [NODE | {"uid": f"{cluster}-{number}"} for number in range(1, count + 1)]
        (tmp_path / f"{cluster}.json").write_text(json.dumps({"items": items}))
    collected = [{"name": METRIC, "period": 5000}]
    clusters = [{"uid": "graffiti", "metrics": collected}, {"uid": "grele", "metrics": []}]
    (tmp_path / "clusters.json").write_text(json.dumps({"items": clusters}))
    job = {"job_id": 7, "user": "ash", "state": "Terminated", "resource_id": [1]}
    times = {"start_time": 1_741_003_200, "stop_time": 1_741_006_800}
    core = {"resource_id": 1, "type": "default", "network_address": "grele-2", "cpuset": 3}
    gantt = {"jobs": {"7": job | times}, "resources": [core]}
    (tmp_path / "gantt.json").write_text(json.dumps(gantt))
    return {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "HOME": str(tmp_path)}


def bash(script: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_exports_commands_fill_a_readable_folder(
    frontend: dict[str, str],
) -> None:
    [script] = fenced_blocks(EXPORTS, "bash")
    bash(script, frontend)
    home = Path(frontend["HOME"])
    site = ExportedSite(home / "study/exports", site="nancy", converted=home / "converted")
    nodes = site.nodes().collect()
    assert len(nodes) == 25
    assert nodes.filter(pl.col("cluster") == "graffiti")["power_metrics"][0].to_list() == [METRIC]
    window = {
        "start": datetime(2025, 3, 3, tzinfo=UTC),
        "end": datetime(2025, 4, 28, tzinfo=UTC),
    }
    records = site.jobs(**window)
    assert records.allocations.collect().rows() == [(7, "grele-2", [3], [], "cores")]
    assert site.convert_power(metric=METRIC, directory=home / "converted").is_empty()


def test_exports_commands_request_every_second_in_small_chunks(
    frontend: dict[str, str],
) -> None:
    bash(fenced_blocks(EXPORTS, "bash")[0], frontend)
    asked = (Path(frontend["HOME"]) / "asked").read_text().splitlines()
    assert "oarstat -J --gantt 2025-03-02 00:00:00, 2025-04-29 00:00:00" in asked
    first, last = (int(datetime(2025, *day, tzinfo=UTC).timestamp()) for day in ((3, 2), (4, 29)))
    spans: dict[str, list[tuple[int, int]]] = {}
    for query in (each for each in asked if "/metrics?" in each):
        fields = dict(field.split("=") for field in query.partition("?")[2].split("&"))
        assert fields["metrics"] == METRIC
        nodes = fields["nodes"].split(",")
        assert len(nodes) <= 20
        for node in nodes:
            bounds = int(fields["start_time"]), int(fields["end_time"])
            spans.setdefault(node, []).append(bounds)
    assert len(spans) == 25
    days = [(start, start + 86400) for start in range(first, last, 86400)]
    assert len(days) == 58
    assert all(sorted(each) == days for each in spans.values())


def test_command_of_the_page_on_grid5000_makes_a_key(frontend: dict[str, str]) -> None:
    [command] = re.findall(r"^ {4}(python3 -c .*)$", text_of(ROOT / "docs/grid5000.md"), re.M)
    bash(command, frontend)
    key = Path(frontend["HOME"]) / "footprint.key"
    assert len(pseudonyms.load_key(str(key), simulated=False)) == 64


@pytest.fixture
def examples(tmp_path: Path) -> ExportedSite:
    """Folder made of the examples of docs/exports.md."""
    found = re.findall(r"<!-- example: (\S+) -->\n```\w+\n(.*?)```", text_of(EXPORTS), re.S)
    for name, text in found:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert len(found) == 14
    return ExportedSite(tmp_path, site="nancy", converted=tmp_path / "converted")


MARCH_3 = {"start": datetime(2025, 3, 3, tzinfo=UTC), "end": datetime(2025, 3, 4, tzinfo=UTC)}


def test_exports_examples_of_jobs_are_read(examples: ExportedSite) -> None:
    records = examples.jobs(**MARCH_3)
    assert records.rejected.collect().is_empty()
    assert records.jobs.select("job_id", "state").collect().rows() == [
        (2041586, "terminated"),
        (2041587, "error"),
        (2041588, "terminated"),
        (2041589, "running"),
    ]
    # Round-robin: even cores are on the first socket, with the first GPU.
    assert records.allocations.select("job_id", "cores", "gpus", "basis").collect().rows() == [
        (2041586, [0], [0], "cores"),
        (2041587, [2], [0], "cores"),
        (2041588, [4], [0], "cores"),
        (2041589, [1], [1], "cores"),
    ]


def test_exports_example_of_eco2mix_is_read(examples: ExportedSite) -> None:
    found = eco2mix.read_intensity(examples.directory / "eco2mix/odre.csv")
    assert found["g_per_kwh"].to_list() == [20.0, 21.0]


def test_exports_examples_of_power_are_read(examples: ExportedSite) -> None:
    directory = examples.directory / "converted"
    assert examples.convert_power(metric=METRIC, directory=directory).is_empty()
    [readings] = examples.power(metric=METRIC, cluster="grele", **MARCH_3)
    assert readings["node"].unique().to_list() == ["grele-1"]
    assert (readings["timestamp"].dt.epoch("s") - 1_740_996_000).to_list() == [4, 9, 14, 19, 24, 29]
    assert readings["power_w"].fill_nan(-1.0).to_list() == [182, -1, 184.5, None, 186, 185]


def test_exports_examples_of_devices_are_read(examples: ExportedSite) -> None:
    directory = examples.directory / "converted"
    assert examples.convert_devices(directory=directory).is_empty()
    [readings] = examples.devices(metric=metrics.GPU_POWER_METRIC, cluster="grele", **MARCH_3)
    assert readings.select("node", "labels", "value").rows() == [
        ("grele-1", '{"gpu":"0"}', 187.3),
        ("grele-1", '{"gpu":"1"}', 26.1),
    ]
    for metric, labels in (
        (metrics.LOAD_METRIC, ["{}"]),
        (metrics.PACKAGE_METRIC, ['{"index": "0"}', '{"index": "1"}']),
    ):
        [readings] = examples.devices(metric=metric, cluster="grele", **MARCH_3)
        assert readings["labels"].to_list() == labels


def test_exports_examples_of_states_are_read(examples: ExportedSite) -> None:
    states = examples.states(start=MARCH_3["start"], end=datetime(2025, 3, 10, tzinfo=UTC))
    assert states is not None
    assert states.collect().rows() == [
        (
            "grele-1",
            datetime(2025, 3, 3, 13, tzinfo=UTC),
            datetime(2025, 3, 3, 14, 30, tzinfo=UTC),
            "suspected",
        ),
        ("grele-1", datetime(2025, 3, 4, 7, tzinfo=UTC), None, "maintenance"),
    ]


def test_exports_examples_of_records_are_matched_with_their_job(examples: ExportedSite) -> None:
    folder = examples.directory / "recorded"
    files = folders.recorded_files(folder)
    runs = recorded_files.parse_runs((folders.relative_name(path, folder), path) for path in files)
    found = examples.jobs(**MARCH_3)
    matched = recorded_runs.match_runs_to_jobs(
        runs, found.jobs, found.allocations, examples.nodes()
    )
    assert matched.rejected.is_empty()
    assert matched.jobs.select("job_id", "energy_kwh").rows() == [(2041586, 0.2732)]


def reasons_in(module: Path) -> Iterator[str]:
    """Reasons for rejecting rows in the code of a module."""
    for node in ast.walk(ast.parse(text_of(module))):
        found: list[ast.expr] = []
        if isinstance(node, ast.Dict):
            named = zip(node.keys, node.values, strict=True)
            found = [value for key, value in named if key and ast.unparse(key) == "'reason'"]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            is_choice = called.endswith((".then", ".otherwise"))
            literals = [each for each in node.args if ast.unparse(each).startswith("pl.lit(")]
            found = literals if is_choice else []
            found += [each.value for each in node.keywords if each.arg == "reason"]
        for each in (inner for part in found for inner in ast.walk(part)):
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                yield each.value


def test_exports_page_lists_the_reasons_of_the_code() -> None:
    listed = set(re.findall(r"^\| (?:jobs|power) \| `([^`]+)` \|", text_of(EXPORTS), re.M))
    library = ROOT / "workflow/src/footprint"
    modules = ("energy/study_energy.py", "sources/exports/conversion.py")
    modules += ("sources/exports/site.py", "sources/oar/fields.py")
    written = {each for name in modules for each in reasons_in(library / name)}
    written -= {"reason"}  # a column
    constants = vars(job_checks).items()
    named = {text for name, text in constants if name.isupper() and isinstance(text, str)}
    named |= {
        IMPOSSIBLE_NUMBER,
        NOT_A_JOB,
        NOT_A_NUMBER,
        NOT_LISTED,
        REPEATED_KEY,
        TRIMMED_REASON,
        CIRCULAR_REASON,
    }
    assert listed == written | named
