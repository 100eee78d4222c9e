"""Reading eCO2mix."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from footprint.core.errors import InputError
from footprint.levels import eco2mix
from footprint.schemas.raw import RejectedRows

pytestmark = pytest.mark.filterwarnings("error")

HEADER = "Périmètre\tNature\tDate\tHeures\tConsommation\tTaux de Co2\tEch. comm. Italie\t"
FILE = "eCO2mix_RTE_Annuel-Definitif_2025.xls"
BAD_VALUE = "its intensity is not a number from 0 to 2000"
DISCLAIMER = "RTE ne pourra être tenu responsable de l'usage de ces données."


def write(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    lines = [f"France\tDonnées définitives\t{d}\t{t}\t50000\t{g}\t-10\t" for d, t, g in rows]
    path = folder / FILE
    path.write_bytes(("\r\n".join([HEADER, *lines, DISCLAIMER]) + "\r\n").encode("latin-1"))
    return path


def test_read_intensity_converts_paris_time_and_leaves_out_missing_values(tmp_path: Path) -> None:
    rows = [
        ("2025-01-10", "00:00", "20"),
        ("2025-01-10", "00:15", ""),
        ("2025-01-10", "00:30", "ND"),
        ("2025-07-10", "12:00", "31"),
    ]
    found = eco2mix.read_intensity(write(tmp_path, rows))
    assert found.schema == {"timestamp": pl.Datetime("us", "UTC"), "g_per_kwh": pl.Float64}
    assert found.rows() == [
        (datetime(2025, 1, 9, 23, tzinfo=UTC), 20.0),
        (datetime(2025, 7, 10, 10, tzinfo=UTC), 31.0),
    ]


def test_read_intensity_accepts_french_dates(tmp_path: Path) -> None:
    found = eco2mix.read_intensity(write(tmp_path, [("03/02/2025", "01:00", "17,5")]))
    assert found.rows() == [(datetime(2025, 2, 3, 0, tzinfo=UTC), 17.5)]


def test_read_intensity_handles_both_changes_of_the_clocks(tmp_path: Path) -> None:
    rows = [
        ("2025-03-30", "01:30", "10"),
        ("2025-03-30", "02:00", "11"),  # never: clocks go from 2 to 3
        ("2025-03-30", "03:00", "12"),
        ("2025-10-26", "02:00", "20"),
        ("2025-10-26", "02:00", "21"),
        ("2025-10-26", "02:30", "22"),
    ]
    found = eco2mix.read_intensity(write(tmp_path, rows))
    assert found.rows() == [
        (datetime(2025, 3, 30, 0, 30, tzinfo=UTC), 10.0),
        (datetime(2025, 3, 30, 1, tzinfo=UTC), 12.0),
        (datetime(2025, 10, 26, 0, tzinfo=UTC), 20.0),
        (datetime(2025, 10, 26, 0, 30, tzinfo=UTC), 22.0),
        (datetime(2025, 10, 26, 1, tzinfo=UTC), 21.0),
    ]


def test_read_intensity_accepts_semicolons_of_the_open_data_platform(tmp_path: Path) -> None:
    path = tmp_path / "eco2mix-national.csv"
    path.write_text(
        "\ufeffPérimètre;Nature;Date;Heure;Taux de CO2 (g/kWh)\n"
        'France;"Données définitives";2025-01-10;00:30;24\n',
        encoding="utf-8",
    )
    assert eco2mix.read_intensity(path).rows() == [(datetime(2025, 1, 9, 23, 30, tzinfo=UTC), 24.0)]


def test_read_intensity_accepts_columns_without_labels(tmp_path: Path) -> None:
    path = tmp_path / "technical.csv"
    path.write_text(
        "perimetre;nature;date_heure;date;heure;consommation;taux_co2\n"
        "France;x;2025-03-03T00:30:00+01:00;2025-03-03;00:30;60000;20\n"
    )
    assert eco2mix.read_intensity(path).rows() == [(datetime(2025, 3, 2, 23, 30, tzinfo=UTC), 20.0)]


def test_read_intensity_takes_years_of_two_digits_as_this_century(tmp_path: Path) -> None:
    found = eco2mix.read_intensity(
        write(tmp_path, [("03/02/25", "01:00", "17"), ("3/2/25", "02:00", "18")])
    )
    assert found["timestamp"].to_list() == [
        datetime(2025, 2, 3, 0, tzinfo=UTC),
        datetime(2025, 2, 3, 1, tzinfo=UTC),
    ]


MARCH = {"start": datetime(2025, 3, 3, tzinfo=UTC), "end": datetime(2025, 3, 4, tzinfo=UTC)}


def test_study_intensity_counts_unusable_lines(tmp_path: Path) -> None:
    rows = [
        ("2025-03-03", "12:00", "20"),
        ("2025-03-03", "12:15", ""),  # as in all files: not a fault
        ("2025-03-03", "12:30", "ND"),
        ("2025-03-03", "13:00", "inf"),
        ("2025-03-03", "13:30", "NaN"),
        ("2025-03-03", "14:00", "-5"),
        ("2025-03-03", "14:30", "much"),
        ("2025-03-03", "14:45", "2001"),
        ("03.03.2025", "15:00", "21"),
        ("2025-03-03", "25:00", "21"),
    ]
    found = eco2mix.read_study_intensity([write(tmp_path, rows)], **MARCH)
    assert found.intensity.is_empty()
    assert RejectedRows.is_valid(found.rejected)
    assert found.rejected.rows() == [
        ("carbon", "carbon.eco2mix", "its day or time cannot be read", 2, f"{FILE}:10"),
        ("carbon", "carbon.eco2mix", BAD_VALUE, 5, f"{FILE}:5"),
    ]
    good = rows[:3] + rows[8:]
    found = eco2mix.read_study_intensity([write(tmp_path, good)], **MARCH)
    assert found.intensity.rows() == [(datetime(2025, 3, 3, 11, tzinfo=UTC), 20.0)]
    torn = write(tmp_path, rows[:1])
    torn.write_bytes(torn.read_bytes() + b"France\tx\t2025-03-03\t15:3\n")
    (short,) = eco2mix.read_study_intensity([torn], **MARCH).rejected.rows()
    assert short[2:] == ("the line ends before its intensity", 1, f"{FILE}:4")


@pytest.mark.parametrize("value", ["inf", "-inf", "NaN", "-5", "2001", "much", "1e400", "0x10"])
def test_impossible_intensity_is_an_error_of_its_file(tmp_path: Path, value: str) -> None:
    rows = [("2025-03-03", "12:00", "20"), ("2025-03-03", "12:30", value)]
    path = write(tmp_path, rows)
    with pytest.raises(InputError, match=rf"{FILE}:3: {BAD_VALUE}; fix or remove the line"):
        eco2mix.read_intensity(path)
    other = tmp_path / "other.csv"
    other.write_text("Date;Heures;Taux de CO2\n2025-03-03;12:00;30\n")
    found = eco2mix.read_study_intensity([path, other], **MARCH)
    assert found.intensity["g_per_kwh"].to_list() == [30.0]
    assert eco2mix.error_lines(found.rejected) == [
        f"ERROR: carbon.eco2mix: {FILE}:3: {BAD_VALUE} (1 values), so that the file is not used; "
        "fix or remove the line, or remove the file from carbon.eco2mix"
    ]


def test_rejected_lines_without_impossible_values_are_no_errors(tmp_path: Path) -> None:
    rows = [("2025-03-03", "12:00", "20"), ("2025-03-03", "25:00", "21")]
    found = eco2mix.read_study_intensity([write(tmp_path, rows)], **MARCH)
    assert found.rejected.height == 1
    assert eco2mix.error_lines(found.rejected) == []


@pytest.mark.parametrize(
    ("content", "reason", "example"),
    [
        (b"PK\x03\x04\xff\xfe\n\x00\x01", "a ZIP archive, not a text", None),
        (b"", "no columns Date, Heures and Taux de CO2", None),
        (b"version https://git-lfs.github.com/spec/v1\noid x\n", "a pointer of Git LFS", None),
        (b"Date\tHeures\tTaux de Co2\nx\ty\tz\n", "no line has a date, a time and a number", None),
        (
            b"Date\tHeures\tTaux de Co2\n2024-03-03\t12:00\t20\n2024-03-04\t12:00\t20\n",
            "no value lies in the study",
            "other.xls: 2024-03-03 to 2024-03-04",
        ),
    ],
)
def test_study_intensity_file_without_a_value_in_the_study_is_rejected(
    tmp_path: Path, content: bytes, reason: str, example: str | None
) -> None:
    path = tmp_path / "other.xls"
    path.write_bytes(content)
    found = eco2mix.read_study_intensity([path], **MARCH)
    assert found.intensity.is_empty()
    (row,) = found.rejected.to_dicts()
    assert row["reason"].startswith(reason)
    assert row["example"] == (example or "other.xls")


def test_study_intensity_file_that_cannot_be_opened_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path, [])
    monkeypatch.setattr(Path, "open", refuse)
    (reason,) = eco2mix.read_study_intensity([path], **MARCH).rejected["reason"]
    assert reason == "cannot be read (Permission denied)"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04\xff\xfe\n\x00\x01", "a ZIP archive, not a text"),
        (b"Date\tHeures\tConsommation\n2025-01-01\t00:00\t5\n", "no columns"),
        (b"", "no columns"),
        (b"Date\tHeures\tTaux de Co2\nx\ty\tz\n", "no line has a date"),
        (b"Date\tHeures\tTaux de Co2\n2025-03-30\t02:00\t9\n", "no line has a date"),
    ],
)
def test_read_intensity_another_file_is_an_error_of_one_line(
    tmp_path: Path, content: bytes, what: str
) -> None:
    path = tmp_path / "other.xls"
    path.write_bytes(content)
    with pytest.raises(InputError, match=what) as raised:
        eco2mix.read_intensity(path)
    assert "unpack the ZIP" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_read_intensity_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.xls: there is no such file"):
        eco2mix.read_intensity(tmp_path / "none.xls")


def test_read_intensity_takes_the_offset_before_the_day_and_hour(tmp_path: Path) -> None:
    path = tmp_path / "eco2mix-national.csv"
    path.write_text(
        "Périmètre;Nature;Date;Heure;Date et Heure;Taux de CO2 (g/kWh)\n"
        # the order alone would give the first the summer time
        "France;x;2025-10-26;02:00;2025-10-26T02:00:00+01:00;21\n"
        "France;x;2025-10-26;02:00;2025-10-26T02:00:00+02:00;20\n"
        "France;x;2025-10-26;05:00;2025-10-26T04:00:00Z;22\n"
        "France;x;2025-10-26;06:00;;23\n",
        encoding="utf-8",
    )
    assert eco2mix.read_intensity(path).rows() == [
        (datetime(2025, 10, 26, 0, tzinfo=UTC), 20.0),
        (datetime(2025, 10, 26, 1, tzinfo=UTC), 21.0),
        (datetime(2025, 10, 26, 4, tzinfo=UTC), 22.0),
        (datetime(2025, 10, 26, 5, tzinfo=UTC), 23.0),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_read_intensity_accepts_any_separator_and_a_line_of_a_spreadsheet(
    tmp_path: Path, separator: str
) -> None:
    path = tmp_path / "saved.csv"
    rows = [
        [f"sep={separator}"],
        ["Date - Heure", '"Prévision J, J-1; |"', "Taux de CO2 (g/kWh)"],
        ["2025-03-03T00:30:00+01:00", '"a, b; c|\td"', '"17,5"'],
    ]
    path.write_text("\r\n".join(separator.join(row) for row in rows), encoding="utf-8")
    assert eco2mix.read_intensity(path).rows() == [(datetime(2025, 3, 2, 23, 30, tzinfo=UTC), 17.5)]


def test_study_intensity_counts_times_that_are_not_sure(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text(
        "date,heure,date_heure,taux_co2\n"
        "2025-03-03,12:00,2025-03-03T12:00:00+01:00,20\n"
        "2025-03-03,13:00,2025-03-03T13:00:00+00:00,30\n"
        "2025-03-03,12:00,2025-03-03T11:00:00Z,40\n"
        ",,2025-03-03T15:00:00,50\n"
        '"2025-03-03,16:00,2025-03-03T16:00:00+01:00,60\n'
        "2025-03-03,17:00,2025-03-03T17:00:00+01:00,70\n"
    )
    found = eco2mix.read_study_intensity([path], **MARCH)
    assert found.intensity["g_per_kwh"].to_list() == [20.0, 70.0]
    assert dict(found.rejected.select("reason", "example").iter_rows()) == {
        "its time with an offset is not its day and hour in Paris": "two.csv:3",
        "another intensity for the same time: the first is used": "two.csv:4",
        "its time has no offset, and no day and hour are beside it": "two.csv:5",
        "the line ends before its intensity": "two.csv:6",
    }


def test_study_intensity_of_several_files_uses_the_first_of_each_time(tmp_path: Path) -> None:
    contents = {
        "final.csv": "2025-03-03;12:00;20\n",
        "real-time.csv": "2025-03-03;12:00;25\n2025-03-03;12:30;26\n",
        "other.csv": "2024-03-03;12:00;27\n",
        "text.csv": "notes\n",
    }
    for name, lines in contents.items():
        (tmp_path / name).write_text(f"Date;Heures;Taux de CO2\n{lines}")
    (tmp_path / "text.csv").write_text("notes\n")
    found = eco2mix.read_study_intensity([tmp_path / name for name in contents], **MARCH)
    assert found.intensity["g_per_kwh"].to_list() == [20.0, 26.0]
    assert found.intensity["timestamp"].is_sorted()
    assert dict(found.rejected.select("example", "reason").iter_rows()) == {
        "other.csv: 2024-03-03 to 2024-03-03": "no value lies in the study",
        "text.csv": "no columns Date, Heures and Taux de CO2",
        "real-time.csv:2": "another intensity for the same time: the first is used",
    }


def test_read_intensity_of_days_with_the_month_first_is_refused(tmp_path: Path) -> None:
    rows = [("03/02/2025", "01:00", "17"), ("03/13/2025", "01:00", "17")]
    with pytest.raises(InputError, match="line 3 has a day with the month first"):
        eco2mix.read_intensity(write(tmp_path, rows))
