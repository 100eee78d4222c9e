from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from footprint.core.errors import InputError
from footprint.sources.generic import columns, headers, rows
from tests.support.generic_tables import write_csv

T0 = 1741003200
AT = datetime(2025, 3, 3, 12, tzinfo=UTC)


def read(path: Path, table: str = "power") -> pl.DataFrame:
    return pl.concat(rows.read_rows(path, table=table, where=path.name))


def error(path: Path, table: str = "power") -> str:
    with pytest.raises(InputError) as caught:
        read(path, table)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("timestamp", f"{T0}"),
        ("timestamp", f"{T0}.0"),
        ("timestamp", "2025-03-03T12:00:00Z"),
        ("timestamp", "2025-03-03T13:00:00.000+01:00"),
        ("timestamp", "2025-03-03 07:00:00-0500"),
        ("timestamp_ms", f"{T0}000"),
        ("timestamp_us", f"{T0}000000"),
        ("TIMESTAMP", f" {T0} "),
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_read_rows_any_form_of_time_is_the_same_moment(
    tmp_path: Path, name: str, cell: str, separator: str
) -> None:
    path = write_csv(
        tmp_path / "p.csv",
        f"node,{name},power_w".replace(",", separator),
        f"n1,{cell},5".replace(",", separator),
    )
    assert read(path)["timestamp"].to_list() == [AT]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("2025-03-03T12:00:00", "offset"),
        ("1741003200000", "timestamp_ms"),
        ("-5", "is not a time"),
        ("1e400", "is not a time"),
        ("", "the cell is empty"),
        ("noon", "is not a time"),
    ],
)
@pytest.mark.parametrize("first", [f"{T0}", "2025-03-03T12:00:00Z"])
def test_read_rows_time_without_zone_or_with_other_unit_is_refused(
    tmp_path: Path, cell: str, said: str, first: str
) -> None:
    path = write_csv(
        tmp_path / "p.csv", "node,timestamp,power_w", f"n1,{first},5", "  ", f"n1,{cell},5"
    )
    text = error(path)
    assert said in text
    assert text.startswith("p.csv:4, column timestamp: ")


def test_read_rows_fault_after_many_blocks_has_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BLOCK_BYTES", 64)
    lines = [f"n1,{T0 + second},5" for second in range(100)]
    path = write_csv(tmp_path / "p.csv", "node,timestamp,power_w", *lines, f"n1,{T0},x")
    assert error(path).startswith("p.csv:102, column power_w: 'x' is not a number")


def test_read_rows_line_break_in_quotes_is_part_of_a_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BLOCK_BYTES", 32)
    path = tmp_path / "j.csv"
    record = '{0},"a\n""b"",{0}",u,2025-03-03T12:00:00Z,\n'
    path.write_text(
        "job_id,command,user,started_at,stopped_at\n" + "".join(map(record.format, range(50)))
    )
    found = read(path, "jobs")
    assert found["job_id"].to_list() == list(range(50))
    assert found["command"].to_list() == [f'a\n"b",{number}' for number in range(50)]
    path.write_text(path.read_text() + "x,,u,,\n")
    assert error(path, "jobs").startswith("j.csv:102, column job_id: 'x'")


def test_read_rows_units_of_names_are_converted(tmp_path: Path) -> None:
    energies = {name: 7.2e6 / joules for name, joules in columns.ENERGY_UNITS.items()}
    for name, value in energies.items():
        path = write_csv(tmp_path / f"{name}.csv", f"node,timestamp,{name}", f"n,{T0},{value!r}")
        assert read(path)["energy_j"].to_list() == pytest.approx([7.2e6])
    path = write_csv(tmp_path / "kw.csv", "node,timestamp,power_kw", f"n,{T0},0.25")
    assert read(path)["power_w"].to_list() == [250.0]


@pytest.mark.parametrize("suffix", ["gz", "zst", "parquet"])
def test_read_rows_packed_file_and_parquet_equal_text(tmp_path: Path, suffix: str) -> None:
    import gzip

    import pyarrow as pa

    path = write_csv(
        tmp_path / "p.csv", "node,timestamp,power_w", f"n,{T0},5.5", f"n,{T0 + 1},", f"n,{T0},NaN"
    )
    target = tmp_path / f"p.{suffix}"
    if suffix == "gz":
        target.write_bytes(gzip.compress(path.read_bytes()))
    elif suffix == "zst":
        with pa.output_stream(str(target), compression="zstd") as stream:
            stream.write(path.read_bytes())
    else:
        read(path).write_parquet(target)
    assert read(target).equals(read(path), null_equal=True)
    assert read(path)["power_w"].null_count() == 1


def test_read_rows_parquet_without_zone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    frame = pl.DataFrame({"node": ["n"], "timestamp": [AT.replace(tzinfo=None)], "power_w": [5.0]})
    frame.write_parquet(path)
    assert "times without a time zone" in error(path)


def test_read_rows_whole_numbers_of_spreadsheets_are_read(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "n.csv", "node,n_cores,n_cpus", "n1,48.0,", "n2,48,2")
    assert read(path, "nodes").to_dict(as_series=False) == {
        "node": ["n1", "n2"],
        "n_cores": [48, 48],
        "n_cpus": [None, 2],
    }
    assert "'4.5' is not a whole number" in error(
        write_csv(tmp_path / "m.csv", "node,n_cores", "n1,4.5"), "nodes"
    )


@pytest.mark.parametrize(
    ("table", "lines", "said"),
    [
        (
            "jobs",
            ["job_id,usr", "1,a"],
            "no column user, started_at, stopped_at among job_id, usr; ren",
        ),
        ("power", ["node,timestamp", "n,1"], "no column power_w"),
        ("power", ["node,timestamp,power_w,power_kw", "n,1,1,1"], "are the same quantity"),
        ("power", ["n1,1700000000,5"], "no column node, timestamp"),
        ("power", ["", "node,timestamp,power_w"], "the first line is empty"),
        ("power", ["node,timestamp,power_w", f"n,{T0},5,6"], "p.csv:2: 4 cells"),
        ("power", ["node,timestamp,power_w", f"n,{T0},5", f"n,{T0}"], "p.csv:3: 2 cells"),
        ("power", ["node,timestamp,power_w", f"n,{T0}", f"n,{T0},5"], "p.csv:2: 2 cells"),
        (
            "power",
            ["node,timestamp,power_w", f"n,{T0},5", f"n,{T0},5,6", f"n,{T0}"],
            "p.csv:3: 4 cells",
        ),
        ("power", ["node,timestamp,power_w", f",{T0},5"], "p.csv:2, column node: the cell is empt"),
        (
            "jobs",
            ["job_id,user,exclusive,started_at,stopped_at", "1,a,perhaps,,"],
            "write yes or no",
        ),
    ],
)
def test_read_rows_other_faults_are_refused_in_a_line(
    tmp_path: Path, table: str, lines: list[str], said: str
) -> None:
    assert said in error(write_csv(tmp_path / "p.csv", *lines), table)


def test_read_rows_latin_1_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "j.csv"
    path.write_bytes(b"job_id,user,started_at,stopped_at,name\n1,a,,,b\n2,a,,,\xe9t\xe9\n")
    assert error(path, "jobs").startswith("j.csv:3: not a text in UTF-8")


def test_read_rows_byte_order_mark_and_carriage_returns_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(f"\ufeffnode,timestamp,power_w\r\nn,{T0},5\r\n".encode())
    assert read(path).row(0) == ("n", AT, 5.0)


def test_header_lists_columns_that_are_not_read(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", "node,fan,timestamp,power_w,temp", "n,1,2,3,4")
    found: Any = headers.read_header(path, table="power", where="p")
    assert found.unread == ["fan", "temp"]


@pytest.mark.parametrize("odd", ["n1,5,", "", 'n1,5,"7"', "n1, 5,7", "n1,5.0,7"])
def test_read_rows_that_need_another_way_have_each_row_once(tmp_path: Path, odd: str) -> None:
    """Rows of the scan before the odd one are not read again."""
    n, place = 400_000, 300_000
    lines = [f"n1,{T0 + number},7" for number in range(n)]
    lines[place] = odd.replace(",5", f",{T0 + place}").replace(", 5", f", {T0 + place}")
    found = read(write_csv(tmp_path / "p.csv", "node,timestamp,power_w", *lines))
    expected = [number for number in range(n) if odd or number != place]
    assert (found["timestamp"].dt.epoch("s") - T0).to_list() == expected
    assert found["power_w"].null_count() == (odd == "n1,5,")


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ("n1,5,x", "column power_w: 'x' is not a number"),
        ("n1,5,7,8", "4 cells, and the header has 3"),
        ("n1,5", "2 cells, and the header has 3"),
        (",5,7", "column node: the cell is empty"),
        ("n1,1,7", "column timestamp: '1' is not a time"),
        ("n\udcff,5,7", "not a text in UTF-8"),
        ('n1,5,"7', "cannot be read as CSV"),
    ],
)
def test_read_rows_fault_far_from_the_start_has_its_line(
    tmp_path: Path, odd: str, said: str
) -> None:
    n, place = 400_000, 300_000
    lines = [f"n1,{T0 + number},7" for number in range(n)]
    lines[place] = odd.replace(",5", f",{T0 + place}")
    path = tmp_path / "p.csv"
    text = "".join(f"{line}\n" for line in ("node,timestamp,power_w", *lines))
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    message = error(path)
    assert said in message
    assert message.startswith(f"p.csv:{place + 2}") or odd.count('"') == 1
