"""Reading eCO2mix, and the mean carbon intensity over an interval."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from footprint.core.errors import InputError
from footprint.levels import carbon_intensity
from footprint.schemas.raw import RejectedRows

pytestmark = pytest.mark.filterwarnings("error")

HEADER = "Périmètre\tNature\tDate\tHeures\tConsommation\tTaux de Co2\tEch. comm. Italie\t"
DISCLAIMER = "RTE ne pourra être tenu responsable de l'usage de ces données."


def write(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    lines = [f"France\tDonnées définitives\t{d}\t{t}\t50000\t{g}\t-10\t" for d, t, g in rows]
    path = folder / "eCO2mix_RTE_Annuel-Definitif_2025.xls"
    path.write_bytes(("\r\n".join([HEADER, *lines, DISCLAIMER]) + "\r\n").encode("latin-1"))
    return path


def test_read_intensity_converts_paris_time_and_leaves_out_missing_values(tmp_path: Path) -> None:
    rows = [
        ("2025-01-10", "00:00", "20"),
        ("2025-01-10", "00:15", ""),
        ("2025-01-10", "00:30", "ND"),
        ("2025-07-10", "12:00", "31"),
    ]
    found = carbon_intensity.read_intensity(write(tmp_path, rows))
    assert found.schema == {"timestamp": pl.Datetime("us", "UTC"), "g_per_kwh": pl.Float64}
    assert found.rows() == [
        (datetime(2025, 1, 9, 23, tzinfo=UTC), 20.0),
        (datetime(2025, 7, 10, 10, tzinfo=UTC), 31.0),
    ]


def test_read_intensity_accepts_french_dates(tmp_path: Path) -> None:
    found = carbon_intensity.read_intensity(write(tmp_path, [("03/02/2025", "01:00", "17,5")]))
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
    found = carbon_intensity.read_intensity(write(tmp_path, rows))
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
    assert carbon_intensity.read_intensity(path).rows() == [
        (datetime(2025, 1, 9, 23, 30, tzinfo=UTC), 24.0)
    ]


def test_read_intensity_accepts_columns_without_labels(tmp_path: Path) -> None:
    path = tmp_path / "technical.csv"
    path.write_text(
        "perimetre;nature;date_heure;date;heure;consommation;taux_co2\n"
        "France;x;2025-03-03T00:30:00+01:00;2025-03-03;00:30;60000;20\n"
    )
    assert carbon_intensity.read_intensity(path).rows() == [
        (datetime(2025, 3, 2, 23, 30, tzinfo=UTC), 20.0)
    ]


def test_read_intensity_takes_years_of_two_digits_as_this_century(tmp_path: Path) -> None:
    found = carbon_intensity.read_intensity(
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
        ("03.03.2025", "15:00", "21"),
        ("2025-03-03", "25:00", "21"),
    ]
    found = carbon_intensity.read_study_intensity(write(tmp_path, rows), **MARCH)
    assert found.intensity.rows() == [(datetime(2025, 3, 3, 11, tzinfo=UTC), 20.0)]
    assert RejectedRows.is_valid(found.rejected)
    assert found.rejected.rows() == [
        ("carbon", "carbon.eco2mix", "its day or time cannot be read", 2, "line 9"),
        ("carbon", "carbon.eco2mix", "its intensity is not a number of 0 or more", 4, "line 5"),
    ]
    assert carbon_intensity.read_intensity(write(tmp_path, rows)).height == 1
    torn = write(tmp_path, rows[:1])
    torn.write_bytes(torn.read_bytes() + b"France\tx\t2025-03-03\t15:3\n")
    (short,) = carbon_intensity.read_study_intensity(torn, **MARCH).rejected.rows()
    assert short[2:] == ("the line ends before its intensity", 1, "line 4")


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
            "2024-03-03 to 2024-03-04",
        ),
    ],
)
def test_study_intensity_file_without_a_value_in_the_study_is_rejected(
    tmp_path: Path, content: bytes, reason: str, example: str | None
) -> None:
    path = tmp_path / "other.xls"
    path.write_bytes(content)
    found = carbon_intensity.read_study_intensity(path, **MARCH)
    assert found.intensity.is_empty()
    (row,) = found.rejected.to_dicts()
    assert row["reason"].startswith(reason)
    assert row["example"] == (example or "the whole file")


def test_study_intensity_file_that_cannot_be_opened_is_rejected(
    tmp_path: Path,
) -> None:
    (reason,) = carbon_intensity.read_study_intensity(tmp_path, **MARCH).rejected["reason"]
    assert reason == "a folder where a file is expected"


def test_mean_intensity_no_values_is_null() -> None:
    found = carbon_intensity.mean_intensity(interval(0, 1), series())
    assert found.select("g_per_kwh", "known_frac").rows() == [(None, 0.0)]
    assert found.schema == carbon_intensity.mean_intensity(interval(0, 1), series((0, 20))).schema


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"Date\tHeures\tConsommation\n2025-01-01\t00:00\t5\n", "no columns"),
        (b"", "no columns"),
        (b"Date\tHeures\tTaux de Co2\nx\ty\tz\n", "no line has a date"),
    ],
)
def test_read_intensity_another_file_is_an_error_of_one_line(
    tmp_path: Path, content: bytes, what: str
) -> None:
    path = tmp_path / "other.xls"
    path.write_bytes(content)
    with pytest.raises(InputError, match=what) as raised:
        carbon_intensity.read_intensity(path)
    assert "unpack the ZIP" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_read_intensity_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.xls: there is no such file"):
        carbon_intensity.read_intensity(tmp_path / "none.xls")


START = datetime(2025, 3, 3, tzinfo=UTC)


def series(*values: tuple[float, float]) -> pl.DataFrame:
    """Intensity from pairs of hours after the start and grams."""
    return pl.DataFrame(
        {
            "timestamp": [START + timedelta(hours=hour) for hour, _ in values],
            "g_per_kwh": [grams for _, grams in values],
        },
        schema={"timestamp": pl.Datetime("us", "UTC"), "g_per_kwh": pl.Float64},
    )


def interval(low_h: float, high_h: float) -> pl.DataFrame:
    ends = {"started_at": START + timedelta(hours=low_h), "stopped_at": START}
    ends["stopped_at"] += timedelta(hours=high_h)
    return pl.DataFrame([ends], schema=dict.fromkeys(ends, pl.Datetime("us", "UTC")))


@pytest.mark.parametrize(
    ("low_h", "high_h", "mean", "known"),
    [
        (0.0, 1.0, 20.0, 1.0),
        (0.5, 2.0, (0.5 * 20 + 40) / 1.5, 1.0),
        # 40 holds from 1 h for two hours, then nothing is known until 10 h
        (1.0, 5.0, 40.0, 0.5),
        (4.0, 9.0, None, 0.0),
        # the last value holds for half an hour
        (10.0, 11.0, 60.0, 0.5),
        (-3.0, 0.5, 20.0, 0.5 / 3.5),
        (1.0, 1.0, None, None),
    ],
)
def test_mean_intensity_averages_the_known_part(
    low_h: float, high_h: float, mean: float | None, known: float | None
) -> None:
    found = carbon_intensity.mean_intensity(
        interval(low_h, high_h), series((0, 20), (1, 40), (10, 60))
    )
    (row,) = found.select("g_per_kwh", "known_frac").rows()
    assert row == (
        None if mean is None else pytest.approx(mean),
        None if known is None else pytest.approx(known),
    )


@pytest.mark.parametrize("bound", ["started_at", "stopped_at"])
def test_mean_intensity_unknown_bound_is_null(bound: str) -> None:
    unknown = pl.lit(None, pl.Datetime("us", "UTC")).alias(bound)
    found = carbon_intensity.mean_intensity(
        interval(0, 1).with_columns(unknown), series((0, 20), (1, 40))
    )
    assert found.select("g_per_kwh", "known_frac").rows() == [(None, None)]
