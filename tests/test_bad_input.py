"""Bad input, as a user meets it: Snakemake fails, and one line says where, what and what to do."""

import json
import re
from pathlib import Path
from typing import Any

import answers
import pytest
from running import Project, Ran, configure, job_counts

pytestmark = pytest.mark.workflow

MIDNIGHT = answers.NOON - 43_200
WHOLE_NODE = {"cores": [f"gruss-1.nancy.grid5000.fr/{core}" for core in range(4)]}
Config = dict[str, Any]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("bad"))


@pytest.fixture
def config() -> Config:
    """A study of `exports/`, which is as it should be."""
    return {
        "study": {"site": "nancy", "start": "2025-03-03", "end": "2025-03-04"},
        "source": {"kind": "exports", "directory": "exports"},
        "privacy": {"key": "public"},
    }


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """Two nodes, a job on cores 0 and 1 of the first at noon, a reading a minute."""
    folder = tmp_path / "exports"
    described = answers.page(answers.node("gruss-1"), answers.node("gruss-2"))
    answers.save(folder / "nodes/gruss.json", described)
    answers.save(folder / "jobs/page.json", answers.page(answers.g5k_job(11)))
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


def refused(project: Project, folder: Path, config: Config, message: str, *options: str) -> Ran:
    """Run; Snakemake fails with the message as a line of its own, once, and without traceback."""
    ran = project.run(configure(folder, **config), "--cores", "2", *options, status=None)
    assert ran.status == 1, ran.said
    lines = [line for line in ran.said.splitlines() if re.fullmatch(message, line)]
    assert len(lines) == 1, ran.said
    assert "; " in lines[0]  # what is wrong; what to do
    assert "Traceback" not in ran.said
    return ran


def told_at_once(ran: Ran, folder: Path) -> None:
    """Hardly anything else is said, nothing was planned, nothing is left behind."""
    usual = ("Using workflow specific profile", "privacy.key is `public`")
    assert len([line for line in ran.said.splitlines() if not line.startswith(usual)]) == 1
    assert not (folder / "resources").exists()


CONFIGURATIONS: dict[str, tuple[Config, str]] = {
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
        r"study\.end: 2025-03-01 is not after study\.start \(2025-03-03\); give the day after .+",
    ),
    "unknown cluster": (
        {"study": {"clusters": ["gros"]}},
        r"study\.clusters: the source describes no cluster `gros`; .*gruss.*",
    ),
    "missing folder": (
        {"source": {"directory": "export"}},
        r"source\.directory: there is no folder export; give its full path.*",
    ),
    "no key": (
        {"privacy": {"key": None}},
        r"privacy\.key: no key for the pseudonyms of real people; make one with `python3 .+",
    ),
    "label file": (
        {"labels": {"files": ["labels.csv"]}},
        r"labels\.csv:2: this row says nothing about its jobs; say paper, .+",
    ),
    "active without all jobs": (
        {"source": {"jobs_complete": False}, "integration": {"gate": "active"}},
        r"integration\.gate: `active` shares a node among all jobs .+; choose `reserved`",
    ),
}


@pytest.mark.usefixtures("exports")
@pytest.mark.parametrize("what", CONFIGURATIONS)
def test_mistakes_of_the_configuration_are_told_at_once(
    project: Project, tmp_path: Path, config: Config, what: str
) -> None:
    changes, message = CONFIGURATIONS[what]
    (tmp_path / "labels.csv").write_text("jobs,paper\n11,\n")
    changed = {
        key: {**config.get(key, {}), **changes.get(key, {})} for key in config.keys() | changes
    }
    told_at_once(refused(project, tmp_path, changed, message), tmp_path)


def test_nodes_that_cannot_be_read_are_told_at_once(
    project: Project, tmp_path: Path, config: Config, exports: Path
) -> None:
    path = exports / "nodes/gruss.json"
    path.write_text(path.read_text()[:-20])
    message = r"exports/nodes/gruss\.json:1: the JSON breaks off here; .+"
    told_at_once(refused(project, tmp_path, config, message), tmp_path)


def stopped_at(ran: Ran, rule: str, tmp_path: Path) -> None:
    """The run ended at a rule of the first stage, and its log is the message alone."""
    assert f"Error in rule {rule}:" in ran.said
    assert "gather_energy" in job_counts(ran.said)
    assert not (tmp_path / "results/energy/jobs.parquet").exists()


def test_a_power_file_that_breaks_off(
    project: Project, tmp_path: Path, config: Config, exports: Path
) -> None:
    path = exports / "power/day.jsonl"
    path.write_text(path.read_text()[:-30])
    message = r"exports/power/day\.jsonl:1440: this is not a whole record of JSON: \{.+; .+"
    stopped_at(refused(project, tmp_path, config, message), "convert_power", tmp_path)


def test_power_of_a_node_without_description(
    project: Project, tmp_path: Path, config: Config, exports: Path
) -> None:
    header = "timestamp,device,metric_id,value,labels"
    row = "2025-03-03T12:00:00Z,gruss-9,bmc_node_power_watt,100,{}"
    (exports / "power/more.csv").write_text(f"{header}\n{row}\n")
    message = (
        r"exports/power/more\.csv: has samples of node gruss-9, which is not described; save .+"
    )
    stopped_at(refused(project, tmp_path, config, message), "convert_power", tmp_path)


def test_a_job_on_an_unknown_node(
    project: Project, tmp_path: Path, config: Config, exports: Path
) -> None:
    stranger = answers.g5k_job(12, resources_by_type={"cores": ["gruss-9.nancy.grid5000.fr/0"]})
    answers.save(exports / "jobs/more.json", answers.page(stranger))
    message = r"jobs/more\.json: job 12 held node gruss-9, which is not described; save .+"
    stopped_at(refused(project, tmp_path, config, message), "download_jobs", tmp_path)


def test_a_node_of_which_too_much_is_held(
    project: Project, tmp_path: Path, config: Config, exports: Path
) -> None:
    other = answers.g5k_job(12, resources_by_type=WHOLE_NODE)
    answers.save(exports / "jobs/more.json", answers.page(other))
    message = (
        r"gruss-1: jobs 11, 12 hold the same cores from 2025-03-03 12:00:00 UTC .*; "
        r"correct the jobs' times or cores, or set integration\.gate to binary"
    )
    ran = refused(project, tmp_path, config, message, "--cores", "1")
    stopped_at(ran, "build_gates", tmp_path)
    assert "rule convert_power:" not in ran.said  # told before long work
    # the way out that the message names
    gates = "results/energy/gates.parquet"
    configure(tmp_path, **config, integration={"gate": "binary"})
    project.run(tmp_path, "--cores", "1", gates)
    assert (tmp_path / gates).exists()


@pytest.mark.usefixtures("exports")
def test_a_job_in_two_papers(project: Project, tmp_path: Path, config: Config) -> None:
    (tmp_path / "mine.csv").write_text("jobs,paper\n11,enhancement\n")
    (tmp_path / "ours.csv").write_text("user,from,paper\nsomeone,2025-03-01,separation\n")
    config["labels"] = {"files": ["mine.csv", "ours.csv"]}
    message = (
        r"mine\.csv:2: job 11 has two papers: 'enhancement' here and 'separation' at ours\.csv:2; "
        r"a run has one paper: narrow one of the two rows"
    )
    ran = refused(project, tmp_path, config, message, "--cores", "1")
    stopped_at(ran, "match_labels", tmp_path)
    assert "rule convert_power:" not in ran.said  # told before long work
