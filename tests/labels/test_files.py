"""Reading label files, and the jobs that their labels select."""

import logging
import re
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint.core.errors import InputError
from footprint.core.vocabulary import LABEL_VALUES
from footprint.labels import files, matching
from footprint.labels.files import Label

DOCS = Path(__file__).parents[2] / "docs" / "labels.md"
T0 = datetime(2025, 3, 10, 8, tzinfo=UTC)


def a_file(folder: Path, text: str, name: str = "labels.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str, name: str = "labels.yaml") -> list[Label]:
    return files.read_labels([a_file(folder, text, name)])


def papers(rows: list[Label], jobs: pl.LazyFrame) -> pl.LazyFrame:
    return matching.statement_of_jobs(
        rows, matching.match_labels_to_jobs(rows, jobs), statement="paper"
    )


@pytest.fixture
def jobs() -> pl.LazyFrame:
    rows = [
        (1, None, "amy", "train_a", "bash train.sh --lr 1", T0),
        (2, None, "amy", "train_b", "bash train.sh --lr 2", T0 + timedelta(days=1)),
        (3, None, "amy", None, None, T0 + timedelta(days=2)),
        (4, 4, "bob", "train_a", "python run.py", T0),
        (5, 4, "bob", None, "python run.py", T0 + timedelta(days=1)),
    ]
    columns = ["job_id", "array_id", "user", "name", "command", "started_at"]
    frame = pl.LazyFrame(
        rows,
        schema=dict(
            zip(
                columns,
                [pl.Int64, pl.Int64, pl.String, pl.String, pl.String, pl.Datetime("us", "UTC")],
                strict=True,
            )
        ),
        orient="row",
    )
    # Job 3 never started.
    return frame.with_columns(
        submitted_at="started_at",
        started_at=pl.when(pl.col("job_id") != 3).then("started_at"),
    )


def selected(frame: pl.LazyFrame, /, **label: object) -> list[int]:
    found = matching.match_labels_to_jobs([Label(where="f:1", paper="p", **label)], frame)
    return found["job_id"].to_list()


def test_read_labels_examples_of_the_documentation_are_equal_in_both_formats(
    tmp_path: Path,
) -> None:
    examples = dict(
        re.findall(r"<!-- example: (\w+) -->\n```\w+\n(.*?)```", DOCS.read_text(), re.S)
    )
    yaml, csv = (read(tmp_path, examples[form], f"l.{form}") for form in ("yaml", "csv"))
    assert [label.where for label in yaml] == [f"{tmp_path}/l.yaml:{n}" for n in (2, 9, 16, 21, 31)]
    assert [label.where for label in csv] == [f"{tmp_path}/l.csv:{n}" for n in (2, 3, 4, 5, 6)]
    assert yaml[0] == Label(
        where=f"{tmp_path}/l.yaml:2",
        array=2041586,
        paper="enhancement-2025",
        kind="training_run",
        role="reported",
        phase="training",
    )
    assert yaml[1].start == datetime(2025, 3, 1, tzinfo=UTC)
    assert yaml[1].end == datetime(2025, 4, 1, tzinfo=UTC)
    assert yaml[2].jobs == (2049001, 2049002, 2049010)
    assert (yaml[3].group, yaml[3].stage) == ("./ablate.sh --seed #", "ablate")
    assert yaml[4] == Label(
        where=f"{tmp_path}/l.yaml:31", chain=2041990, kind="training_run", role="other"
    )
    for one, other in zip(yaml, csv, strict=True):
        assert {**vars(one), "where": ""} == {**vars(other), "where": ""}


def test_read_labels_run_type_gives_the_kind(tmp_path: Path) -> None:
    rows = (
        "- {jobs: 1, run_type: posttrain}\n- {jobs: 2, run_type: evaluate, kind: inference_run}\n"
    )
    assert [label.kind for label in read(tmp_path, rows)] == ["training_run", "inference_run"]
    (label,) = read(tmp_path, "jobs,run_type\n1,debug\n", "l.csv")
    assert label.kind == "debug"


def test_read_drafts_accepts_rows_without_labels(tmp_path: Path) -> None:
    path = a_file(tmp_path, "- {jobs: 1, kind: , role: }\n- {jobs: 2, kind: debug}\n")
    assert [label.has_label for label in files.read_drafts([path])] == [False, True]
    with pytest.raises(InputError, match=r":1: this row has no label .* or remove the row"):
        files.read_labels([path])


def test_allowed_values_are_those_of_the_documentation() -> None:
    text = DOCS.read_text()
    for column, values in LABEL_VALUES.items():
        (row,) = re.findall(rf"^\| `{column}` \|(.*)\|$", text, re.M)
        assert tuple(re.findall(r"`(\w+)`", row)) == values


def test_read_labels_keeps_text_as_typed(tmp_path: Path) -> None:
    (label,) = read(tmp_path, "- {user: no, name: 1e3, command: ~, paper: 2025}")
    assert (label.user, label.name, label.command, label.paper) == ("no", "1e3", None, "2025")


def test_read_labels_accepts_timestamps_with_an_offset(tmp_path: Path) -> None:
    (label,) = read(
        tmp_path,
        "- {user: amy, from: 2025-03-10 08:00:00, to: 2025-03-10T11:00:00+02:00, paper: p}",
    )
    assert label.start == T0
    assert label.end == T0 + timedelta(hours=1)


def test_read_labels_empty_file_has_no_labels(tmp_path: Path) -> None:
    assert read(tmp_path, "# nothing yet\n") == []
    assert read(tmp_path, "", "l.csv") == []


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffjob_id;paper;kind\r\n1;Débruitage;training_run\r\n",
        "Job ID\tPaper\tKind\n1.0\tDe\u0301bruitage\tTraining run\n",
        'sep=|\n"job_id"|"paper"|"kind"|""\n"1,0"|"Débruitage"|training-run||\n',
        "comment,job_id,paper,kind,,\nfor the editor,1.00, Débruitage\u200b,TRAINING_RUN,,,\n",
    ],
)
def test_read_labels_csv_of_spreadsheets_is_read_as_meant(tmp_path: Path, text: str) -> None:
    (label,) = read(tmp_path, text, "l.csv")
    assert (label.jobs, label.paper, label.kind) == ((1,), "Débruitage", "training_run")


@pytest.mark.parametrize("cell", ["1 2", "1, 2", "1;2.0", "[1, 2]", "(1 2)", " 1,2, "])
def test_read_labels_lists_of_jobs_are_split(tmp_path: Path, cell: str) -> None:
    (in_csv,) = read(tmp_path, f'jobs,paper\n"{cell}",p\n', "l.csv")
    (one_by_one,) = read(tmp_path, f'job_id,paper\n"{cell}",p\n', "l.csv")
    (in_yaml,) = read(tmp_path, f'- {{jobs: "{cell}", paper: p, comment: [any, text]}}')
    assert in_csv.jobs == one_by_one.jobs == in_yaml.jobs == (1, 2)


def test_read_labels_patterns_are_in_nfc_and_keep_their_blanks(tmp_path: Path) -> None:
    (label,) = read(tmp_path, '- {user: amy, command: "*e\u0301  x*", paper: "a\x85b"}')
    assert label.command == "*é  x*"
    assert label.paper == "a b"


def test_read_labels_csv_lines_count_line_breaks_and_blank_rows(tmp_path: Path) -> None:
    text = '\ufeffjobs,paper\n1,"a\nb"\n,\n2,c\n'
    found = read(tmp_path, text, "l.csv")
    assert [(label.where.rpartition(":")[2], label.paper) for label in found] == [
        ("2", "a b"),
        ("5", "c"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {jobs: 1, papper: p}", r":1: unknown column 'papper'; columns are jobs"),
        ("- {jobs: 1, paper: p}\n- {jobs: [2, x], paper: p}", r":2: job id 'x' is not a number"),
        ("- {jobs: -1, paper: p}", r"job id '-1' is not a whole number over 0"),
        ("- {paper: p}", r":1: this row selects no job"),
        ("- {jobs: [], paper: p}", r":1: this row selects no job"),
        ("- {jobs: 1}", r":1: this row has no label"),
        ("- {jobs: 1, kind: training}", r":1: kind 'training' is not allowed; use interactive"),
        ("- {jobs: 1, stage: final2}", r"stage 'final2' is not allowed; use data, explore"),
        ("- {jobs: 1, run_type: tune}", r"run_type 'tune' is not allowed; use train, pretrain"),
        (
            "- {jobs: 1, run_type: train, kind: debug}",
            r":1: run_type 'train' is the kind training_run, and the row has 'debug'; remove one",
        ),
        ("- {group: ./run.sh, paper: p}", r"group without user would select other people's"),
        ("- {jobs: 1, role: no}", r"role 'no' is not allowed; use reported, other"),
        ("- {jobs: 1, phase: test}", r"phase 'test' is not allowed; use training"),
        ("- {jobs: 1, array: 2, paper: p}", r"two ways, by jobs and array; add a row for each way"),
        ("- {jobs: 1, job_id: 2, paper: p}", r"two ways, by job_id and jobs"),
        ("- {jobs: 1, from: 2025-01-01, paper: p}", r"two ways, by jobs and from"),
        ("- {array: 1, chain: 2, paper: p}", r"two ways, by array and chain"),
        ("- {chain: x, paper: p}", r":1: job id 'x' is not a number"),
        ("- {chain: [1, 2], paper: p}", r"chain is one value, not a list"),
        ("- {name: x*, paper: p}", r"name without user .* other people's jobs; add user"),
        ("- {user: amy, paper: p}", r"user alone selects all jobs"),
        ("- {user: amy, from: soon, paper: p}", r"from 'soon' is not a day"),
        (
            "- {user: amy, from: 2025-03-02, to: 2025-03-02, paper: p}",
            r"`to` \(2025-03-02\) is not after `from` \(2025-03-02\); set `to` to the day",
        ),
        ("- {user: amy, name: 'a[z-b]', paper: p}", r"name 'a\[z-b\]' is not a pattern"),
        ("- {user: [amy, bob], name: x, paper: p}", r"user is one value, not a list"),
        ("- jobs: 1\n  paper:\n    deep: 1", r":3: a value is text or a list"),
        ("- jobs: 1\n  jobs: 2\n  paper: p", r":1: column 'jobs' occurs twice; remove one"),
        ("- jobs", r":1: a row is `column: value` lines"),
        ("jobs: 1", r":1: a label file is a list of rows; begin each row"),
        ("- jobs: 1\n- [", r":2: not YAML"),
        ("- jobs: \x07", r"not YAML"),
    ],
)
def test_read_labels_mistake_in_yaml_names_the_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jobs,what\n1,p\n", r"l\.csv:1: unknown column 'what'"),
        ("jobs;paper\n1;p;q\n", r"l\.csv:2: 3 cells under 2 columns; quote cells that hold `;`"),
        ("jobs;what\n1;p\n", r"l\.csv:1: unknown column 'what'"),
        ("jobs,paper,\n1,p,x\n", r":2: column 3 has a value \('x'\) and no name; name the column"),
        ("jobs,paper\n1.5,p\n", r":2: job id .1\.5. is not a whole number over 0; write as in"),
        ("jobs,paper\n0,p\n", r":2: job id .0. is not a whole number over 0"),
        ("sep=;\njobs;paper\n\nx;p\n", r"l\.csv:4: job id 'x' is not a number"),
        ("jobs,paper,jobs\n1,p,2\n", r":1: column 'jobs' occurs twice; remove one"),
        ("jobs,paper\n1,p\n1,p,q\n", r":3: 3 cells under 2 columns"),
        ('jobs,paper\n1,"p\n', r":2: not CSV"),
        ("jobs,paper\n1,\n", r":2: this row has no label"),
    ],
)
def test_read_labels_mistake_in_csv_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text, "l.csv")


def test_read_labels_unreadable_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yaml: there is no such file"):
        files.read_labels([tmp_path / "absent.yaml"])
    (tmp_path / "latin.csv").write_bytes(b"jobs,paper\n1,\xe9t\xe9\n")
    with pytest.raises(InputError, match=r"latin\.csv:2: not a text in UTF-8"):
        files.read_labels([tmp_path / "latin.csv"])
    with pytest.raises(InputError, match=r"l\.txt: a label file ends in \.yaml"):
        read(tmp_path, "", "l.txt")


def test_match_labels_selects_by_ids_array_and_patterns(jobs: pl.LazyFrame) -> None:
    assert selected(jobs, jobs=(5, 1)) == [1, 5]
    assert selected(jobs, array=4) == [4, 5]
    assert selected(jobs, user="amy", name="train_*") == [1, 2]
    assert selected(jobs, user="amy", name="TRAIN_*") == []
    assert selected(jobs, user="amy", name="train") == []
    assert selected(jobs, user="amy", command="*--lr [!2]") == [1]
    assert selected(jobs, user="bob", name="train_?", command="python*") == [4]


def test_match_labels_selects_the_group_of_a_command(jobs: pl.LazyFrame) -> None:
    assert selected(jobs, user="amy", group="bash train.sh --lr 77") == [1, 2]
    assert selected(jobs, user="amy", group="bash train.sh --lr #") == [1, 2]
    assert selected(jobs, user="amy", group="bash train.sh --lr #", end=T0 + timedelta(1)) == [1]
    assert selected(jobs, user="bob", group="bash train.sh --lr #") == []
    assert selected(jobs, user="amy", group="") == []


def test_match_labels_bounds_the_start_and_excludes_the_end(jobs: pl.LazyFrame) -> None:
    day = timedelta(days=1)
    assert selected(jobs, user="amy", start=T0) == [1, 2, 3]
    assert selected(jobs, user="amy", start=T0, end=T0 + day) == [1]
    assert selected(jobs, user="amy", start=T0 + day) == [2, 3]  # 3 by its submission


@given(
    st.text(alphabet="ab*?[]!-.^", max_size=6).filter(lambda p: "[" not in p or "-" not in p),
    st.text(alphabet="ab!-.^[]", max_size=5),
)
def test_shell_pattern_matches_as_in_a_shell(pattern: str, text: str) -> None:
    ours = pl.Series([text]).str.contains(files.shell_pattern_to_regex(pattern)).item()
    assert ours == fnmatchcase(text, pattern)


def test_statement_gives_one_value_for_each_job(jobs: pl.LazyFrame) -> None:
    rows = [
        Label(where="f:1", array=4, paper="b"),
        Label(where="f:2", jobs=(1, 4), paper="b"),
        Label(where="f:3", jobs=(2,), kind="debug"),
        Label(where="f:4", user="amy", name="*_b", paper="a"),
    ]
    expected = pl.LazyFrame({"job_id": [1, 2, 4, 5], "paper": ["b", "a", "b", "b"]})
    assert_frame_equal(papers(rows, jobs), expected)
    kinds = matching.statement_of_jobs(
        rows, matching.match_labels_to_jobs(rows, jobs), statement="kind"
    )
    assert_frame_equal(kinds, pl.LazyFrame({"job_id": [2], "kind": ["debug"]}))


def test_statement_without_labels_is_empty(jobs: pl.LazyFrame) -> None:
    empty = pl.LazyFrame(schema={"job_id": pl.Int64, "paper": pl.String})
    assert_frame_equal(papers([], jobs), empty)


def test_statement_job_in_two_papers_names_both_rows(jobs: pl.LazyFrame) -> None:
    rows = [
        Label(where="one.yaml:3", array=4, paper="a"),
        Label(where="two.csv:7", user="bob", name="*", paper="b"),
    ]
    with pytest.raises(
        InputError,
        match=r"^one\.yaml:3: job 4 has two papers: 'a' here and 'b' at "
        r"two\.csv:7; a job has one paper",
    ):
        papers(rows, jobs)


def test_statement_contradiction_names_both_rows_and_counts_jobs(jobs: pl.LazyFrame) -> None:
    rows = [
        Label(where="f:1", jobs=(1, 2), kind="debug"),
        Label(where="f:2", user="amy", start=T0, kind="training_run"),
    ]
    with pytest.raises(InputError, match=r"f:1: job 1 has two kinds.*f:2 \(and 1 more jobs\)"):
        matching.statement_of_jobs(
            rows, matching.match_labels_to_jobs(rows, jobs), statement="kind"
        )


def test_match_labels_label_without_jobs_is_a_warning(
    jobs: pl.LazyFrame, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        Label(where="f:1", jobs=(1, 90, 91), paper="p"),
        Label(where="f:2", jobs=(99,), paper="p"),
        Label(where="f:3", array=77, paper="p"),
        Label(where="f:4", user="carol", name="*", paper="p"),
    ]
    with caplog.at_level(logging.WARNING):
        assert matching.match_labels_to_jobs(rows, jobs)["job_id"].to_list() == [1]
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "f:2: this label matches no job of the study",
        "f:3: this label matches no job of the study "
        "(array ids are null in sources that lack them)",
        "f:4: this label matches no job of the study",
        "f:1: 2 of its jobs are not in the study: 90, 91",
        "3 of 4 labels match no job of the study",
    ]
