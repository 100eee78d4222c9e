"""Faulty input: Snakemake fails with one line that gives the place, the fault and the fix."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support import api_answers
from tests.support.project import CompletedRun, Project, configure, job_counts

pytestmark = pytest.mark.workflow

MIDNIGHT = api_answers.NOON_S - 43_200
WHOLE_NODE = {"cores": [f"gruss-1.nancy.grid5000.fr/{core}" for core in range(4)]}
Config = dict[str, Any]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("bad"))


@pytest.fixture
def config() -> Config:
    """Valid configuration of a study of `exports/`."""
    return {
        "study": {"site": "nancy", "start": "2025-03-03", "end": "2025-03-04"},
        "source": {"kind": "exports", "directory": "exports"},
        "privacy": {"key": "public"},
    }


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """Exports: two nodes, a job on cores 0 and 1 of the first at noon, a reading a minute."""
    folder = tmp_path / "exports"
    described = api_answers.collection_page(
        api_answers.reference_node("gruss-1"), api_answers.reference_node("gruss-2")
    )
    api_answers.save_json(folder / "nodes/gruss.json", described)
    api_answers.save_json(
        folder / "jobs/page.json", api_answers.collection_page(api_answers.g5k_job(11))
    )
    (folder / "power").mkdir()
    readings = [
        {
            "timestamp": MIDNIGHT + 60 * minute,
            "device_id": "gruss-1",
            "metric_id": "bmc_node_power_watt",
            "value": 100,
        }
        for minute in range(24 * 60)
    ]
    lines = "".join(json.dumps(each) + "\n" for each in readings)
    (folder / "power/day.jsonl").write_text(lines)
    return folder


def run_refused(
    project: Project, folder: Path, config: Config, message: str, *options: str
) -> CompletedRun:
    """Run Snakemake; it fails and prints the message on one line, without a traceback."""
    ran = project.run(configure(folder, **config), "--cores", "2", *options, status=None)
    assert ran.status == 1, ran.output
    lines = [line for line in ran.output.splitlines() if re.fullmatch(message, line)]
    assert len(lines) == 1, ran.output
    assert "; " in lines[0]  # the fault; the fix
    assert "Traceback" not in ran.output
    return ran


def assert_refused_before_planning(ran: CompletedRun, folder: Path) -> None:
    """Nothing else but known notes was printed, and no file was written."""
    usual = ("Using workflow specific profile", "privacy.key is `public`")
    assert len([line for line in ran.output.splitlines() if not line.startswith(usual)]) == 1
    assert not (folder / "resources").exists()


FAULTY_CONFIGURATIONS: dict[str, tuple[Config, str]] = {
    "unknown key": (
        {"integration": {"max_gap": 30}},
        r"integration\.max_gap: unknown key; did you mean `max_gap_s`\?",
    ),
    "wrong type": (
        {"integration": {"max_gap_s": "soon"}},
        r"integration\.max_gap_s: .*soon.*; .+",
    ),
    "end before start": (
        {"study": {"end": "2025-03-01"}},
        r"study\.end: 2025-03-01 is not after study\.start \(2025-03-03\); set it to the day .+",
    ),
    "unknown cluster": (
        {"study": {"clusters": ["gros"]}},
        r"study\.clusters: the source describes no cluster `gros`; .*gruss.*",
    ),
    "missing folder": (
        {"source": {"directory": "export"}},
        r"source\.directory: there is no folder export; set its full path.*",
    ),
    "no key": (
        {"privacy": {"key": None}},
        r"privacy\.key: no key for the pseudonyms of real people; make one with `python3 .+",
    ),
    "label file": (
        {"labels": {"files": ["labels.csv"]}},
        r"labels\.csv:2: this row has no label for its jobs; add paper, .+",
    ),
    "active without all jobs": (
        {"source": {"jobs_complete": False}, "integration": {"gate": "active"}},
        r"integration\.gate: `active` divides a node among all its jobs.+; set it to `reserved`",
    ),
}


@pytest.mark.usefixtures("exports")
@pytest.mark.parametrize("fault", FAULTY_CONFIGURATIONS)
def test_faulty_configuration_is_refused_before_planning(
    project: Project, tmp_path: Path, config: Config, fault: str
) -> None:
    changes, message = FAULTY_CONFIGURATIONS[fault]
    (tmp_path / "labels.csv").write_text("jobs,paper\n11,\n")
    changed = {
        key: {**config.get(key, {}), **changes.get(key, {})} for key in config.keys() | changes
    }
    assert_refused_before_planning(run_refused(project, tmp_path, changed, message), tmp_path)


def test_truncated_nodes_file_is_refused_before_planning(
    project: Project, tmp_path: Path, config: Config, exports: Path
) -> None:
    path = exports / "nodes/gruss.json"
    path.write_text(path.read_text()[:-20])
    message = r"exports/nodes/gruss\.json:1: the JSON breaks off here; .+"
    assert_refused_before_planning(run_refused(project, tmp_path, config, message), tmp_path)


def assert_stopped_at_rule(ran: CompletedRun, rule: str, tmp_path: Path) -> None:
    """The run was planned and failed at this rule of the first stage."""
    assert f"Error in rule {rule}:" in ran.output
    assert "combine_energy" in job_counts(ran.output)
    assert not (tmp_path / "results/energy/jobs.parquet").exists()


def test_truncated_power_file_stops_convert_power(
    project: Project, tmp_path: Path, config: Config, exports: Path
) -> None:
    path = exports / "power/day.jsonl"
    path.write_text(path.read_text()[:-30])
    message = r"exports/power/day\.jsonl:1440: this is not a whole record of JSON: \{.+; .+"
    assert_stopped_at_rule(
        run_refused(project, tmp_path, config, message), "convert_power", tmp_path
    )


def test_power_of_undescribed_node_stops_convert_power(
    project: Project, tmp_path: Path, config: Config, exports: Path
) -> None:
    header = "timestamp,device,metric_id,value,labels"
    row = "2025-03-03T12:00:00Z,gruss-9,bmc_node_power_watt,100,{}"
    (exports / "power/more.csv").write_text(f"{header}\n{row}\n")
    message = (
        r"exports/power/more\.csv: has readings of node gruss-9, which is not described; save .+"
    )
    assert_stopped_at_rule(
        run_refused(project, tmp_path, config, message), "convert_power", tmp_path
    )


def test_job_on_undescribed_node_stops_download_jobs(
    project: Project, tmp_path: Path, config: Config, exports: Path
) -> None:
    stranger = api_answers.g5k_job(12, resources_by_type={"cores": ["gruss-9.nancy.grid5000.fr/0"]})
    api_answers.save_json(exports / "jobs/more.json", api_answers.collection_page(stranger))
    message = r"jobs/more\.json: job 12 held node gruss-9, which is not described; save .+"
    assert_stopped_at_rule(
        run_refused(project, tmp_path, config, message), "download_jobs", tmp_path
    )


def test_overallocated_node_stops_build_allocations(
    project: Project, tmp_path: Path, config: Config, exports: Path
) -> None:
    other = api_answers.g5k_job(12, resources_by_type=WHOLE_NODE)
    api_answers.save_json(exports / "jobs/more.json", api_answers.collection_page(other))
    message = (
        r"gruss-1: jobs 11, 12 hold the same cores from 2025-03-03 12:00:00 UTC .*; "
        r"fix the jobs' times or cores, or set integration\.gate to binary"
    )
    ran = run_refused(project, tmp_path, config, message, "--cores", "1")
    assert_stopped_at_rule(ran, "build_allocations", tmp_path)
    assert "rule convert_power:" not in ran.output  # found before long work
    # the fix that the message names
    gates = "results/energy/node_allocations.parquet"
    configure(tmp_path, **config, integration={"gate": "binary"})
    project.run(tmp_path, "--cores", "1", gates)
    assert (tmp_path / gates).exists()


@pytest.mark.usefixtures("exports")
def test_job_in_two_papers_stops_match_labels(
    project: Project, tmp_path: Path, config: Config
) -> None:
    (tmp_path / "mine.csv").write_text("jobs,paper\n11,enhancement\n")
    (tmp_path / "ours.csv").write_text("user,from,paper\nsomeone,2025-03-01,separation\n")
    config["labels"] = {"files": ["mine.csv", "ours.csv"]}
    message = (
        r"mine\.csv:2: job 11 has two papers: 'enhancement' here and 'separation' at ours\.csv:2; "
        r"a run has one paper: narrow one of the two rows"
    )
    ran = run_refused(project, tmp_path, config, message, "--cores", "1")
    assert_stopped_at_rule(ran, "match_labels", tmp_path)
    assert "rule convert_power:" not in ran.output  # found before long work


@pytest.mark.parametrize(
    ("first", "row", "message"),
    [
        # Snakemake would copy each mapping, and the configuration each list, for each alias
        ("a0: &a0 {x: 1}", "a{n}: &a{n} {{x: *a{m}, y: *a{m}}}", "its aliases stand for more than"),
        ("a0: &a0 [1, 2]", "a{n}: &a{n} [*a{m}, *a{m}]", "its aliases stand for more than"),
        ("a0: &a0 {x: *a0}", "", ":1: an alias inside the value that it stands for"),
    ],
)
def test_aliases_of_a_configuration_file_that_multiply_stop_at_once(
    project: Project, tmp_path: Path, first: str, row: str, message: str
) -> None:
    lines = [first, *(row.format(n=n, m=n - 1) for n in range(1, 40))]
    (tmp_path / "study.yaml").write_text("\n".join(lines))
    output = project.run(tmp_path, "-n", status=1).output
    (line,) = [line for line in output.splitlines() if not line.startswith("Using ")]
    assert re.match(rf".*study\.yaml(: )?{message}", line)
