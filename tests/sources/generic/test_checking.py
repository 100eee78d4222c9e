from pathlib import Path

import pytest

from footprint.sources.generic import checking
from tests.support.cli import run_cli
from tests.support.generic_tables import write_csv


def test_check_usable_tables_have_no_fault_and_name_the_study(tables: Path) -> None:
    result = checking.check_folder(tables)
    assert result.faults == []
    assert "configuration: study: {site: NAME, start: 2025-03-03, end: 2025-03-04}" in result.notes
    assert any(note.startswith("power: 36 readings of 3 nodes") for note in result.notes)


def test_check_names_the_first_fault_of_each_column_and_file(tables: Path) -> None:
    write_csv(
        tables / "jobs.csv",
        "job_id,user,started_at,stopped_at,nodes,colour",
        "1,a,2025-03-03T12:00:00,2025-03-03T13:00:00Z,n1,red",
        "x,a,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,n1,red",
    )
    write_csv(tables / "power.csv", "node,timestamp", "n1,5")
    (tables / "nodes.csv").unlink()
    result = checking.check_folder(tables)
    assert {fault.partition("; ")[0].partition(" among")[0] for fault in result.faults} == {
        f"{tables}: no table `nodes`",
        "jobs.csv:2, column started_at: '2025-03-03T12:00:00' is not a time",
        "jobs.csv:3, column job_id: 'x' is not a whole number",
        "power.csv:1: no column power_w",
    }
    assert "jobs.csv: not read: colour" in result.notes


def test_check_compares_tables_and_counts_rejected_jobs(tables: Path) -> None:
    write_csv(
        tables / "jobs.csv",
        "job_id,user,started_at,stopped_at,nodes",
        "1,a,2025-03-03T12:00:00Z,2025-03-03T11:00:00Z,n1",
        "2,a,2025-03-03T12:00:00Z,2025-03-03T13:00:00Z,n1",
    )
    notes = checking.check_folder(tables).notes
    assert "jobs.csv: 1 jobs rejected: ended before it started (job 1)" in notes
    write_csv(
        tables / "jobs.csv",
        "job_id,user,started_at,stopped_at,nodes",
        "1,a,2025-03-03T12:00:00Z,,n9",
    )
    assert "n9, which is not described" in checking.check_folder(tables).faults[0]


def test_check_refuses_readings_farther_apart_than_gaps(tables: Path) -> None:
    assert not checking.check_folder(tables, max_gap_s=5).faults
    (fault,) = checking.check_folder(tables, max_gap_s=4).faults
    assert fault.startswith("integration.max_gap_s: 33 of 36 times between two readings")


def test_check_misspelt_table_is_refused(tables: Path) -> None:
    (tables / "jobs.csv").rename(tables / "job.csv")
    faults = checking.check_folder(tables).faults
    assert len(faults) == len(set(faults)) == 1
    assert "`job` is no table; did you mean `jobs`?" in faults[0]


def test_check_command_prints_faults_and_fails(tables: Path) -> None:
    done = run_cli("check", tables)
    assert done.exit_code == 0
    assert "The tables can be used." in done.output
    write_csv(tables / "power.csv", "node,timestamp,power_w", "n1,5,5")
    done = run_cli("check", tables)
    assert done.exit_code == 1
    assert "power.csv:2, column timestamp" in done.output


@pytest.mark.parametrize("options", [["--power", "volts"], ["--node-pattern", "n"]])
def test_check_command_wrong_option_is_refused(tables: Path, options: list[str]) -> None:
    done = run_cli("check", tables, *options)
    assert done.exit_code != 0
    assert options[0] in done.output or options[1] in done.output
