"""Numbers in words, as the summary, figures and tables show them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.report import wording


@pytest.mark.parametrize(
    ("kwh", "expected"),
    [
        (None, "unknown"),
        (0.0, "0 kWh"),
        (0.00045, "0.450 Wh"),
        (0.48, "480 Wh"),
        (0.99949, "999 Wh"),
        (0.9996, "1.00 kWh"),
        (12.345, "12.3 kWh"),
        (999.4, "999 kWh"),
        (999.6, "1.00 MWh"),
        (8_912.0, "8.91 MWh"),
        (1.2345e6, "1.23 GWh"),
        (1.2345e9, "1 230 GWh"),
    ],
)
def test_energy_text_has_three_digits_and_a_unit(kwh: float | None, expected: str) -> None:
    assert wording.format_energy(kwh).replace(wording.NARROW_SPACE, " ") == expected


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (None, "unknown"),
        (0.0, "0 %"),
        (0.0006, "< 0.1 %"),
        (0.001, "0.1 %"),
        (0.125, "12 %"),
        (0.9949, "99 %"),
        (0.9978, "99.7 %"),
        (0.9996, "> 99.9 %"),
        (1.0, "100 %"),
        (1.256, "126 %"),
        (-0.05, "−5 %"),
    ],
)
def test_percent_text_has_two_digits_and_never_rounds_to_all(
    fraction: float | None, expected: str
) -> None:
    assert wording.format_percent(fraction).replace(wording.NARROW_SPACE, " ") == expected


def test_number_texts_have_thin_spaces_and_units() -> None:
    assert wording.format_count(1234567) == "1\u202f234\u202f567"
    assert wording.format_number(-1234.5) == "−1\u202f230"
    assert wording.format_duration(0.5) == "30\u202fmin"
    assert wording.format_duration(5.416) == "5.42\u202fh"
    assert wording.format_duration(732.0, of="node ") == "30.5\u202fnode days"


TOTALS: list[tuple[tuple[float | None, ...], str]] = [
    ((4137.0, 3680.0, 4870.0, 0.75), "4.1 MWh (95 %: 3.7 to 4.9; 75 % measured)"),
    # half width 6.35 kWh: one digit; 3.5 kWh: two
    ((52.3, 47.1, 59.8, 0.9), "52 kWh (95 %: 47 to 60; 90 % measured)"),
    ((52.34, 50.0, 57.0, 0.9), "52.3 kWh (95 %: 50.0 to 57.0; 90 % measured)"),
    # the unit suits the upper end, so that no number has four digits
    ((980.0, 900.0, 1050.0, 1.0), "0.98 MWh (95 %: 0.90 to 1.05; 100 % measured)"),
    ((9.996, 9.99, 9.999, 1.0), "10.0 kWh (95 %: 10.0 to 10.0; 100 % measured)"),
    ((1.24e9, 1.1e9, 1.4e9, 0.75), "1 240 GWh (95 %: 1 100 to 1 400; 75 % measured)"),
    ((4137.0, 3680.0, 4870.0, 0.49), "an estimated 4.1 MWh (95 %: 3.7 to 4.9; 49 % measured)"),
    ((4137.0, 3680.0, 4870.0, 0.5), "4.1 MWh (95 %: 3.7 to 4.9; 50 % measured)"),
    ((4137.0, 3680.0, 4870.0, 0.75, 12.0), "at least 4.1 MWh (95 %: 3.7 to 4.9; 75 % measured)"),
    (
        (4137.0, 3680.0, 4870.0, 0.0, 12.0),
        "at least an estimated 4.1 MWh (95 %: 3.7 to 4.9; 0 % measured)",
    ),
    ((0.0, 0.0, 0.0, None), "0 kWh (95 %: 0 to 0)"),
    ((12.3, None, None, 1.0), "12.3 kWh (interval unknown; 100 % measured)"),
    # the value has two digits where that gives the others three at most
    ((5.04, 3.9, 12.1, 0.7), "5.0 kWh (95 %: 3.9 to 12.1; 70 % measured)"),
    ((5.04, 3.9, 121.0, 0.7), "5.0 kWh (95 %: 3.9 to 120; 70 % measured)"),
    # a value that is not 0 is not printed as 0
    ((0.004, 0.0, 3.0, 0.5), "0.0040 kWh (95 %: 0.0000 to 3.0; 50 % measured)"),
    ((None, None, None, None), "unknown"),
    ((None, None, None, None, 12.0), "unknown"),
]


@pytest.mark.parametrize(("values", "expected"), TOTALS)
def test_total_text_has_interval_and_measured_part(
    values: tuple[float | None, ...], expected: str
) -> None:
    assert wording.format_total(*values).replace(wording.NARROW_SPACE, " ") == expected


def test_row_total_text_marks_the_energy_alone() -> None:
    row = {"total_kwh": 4137.0, "total_low_kwh": 3680.0, "total_high_kwh": 4870.0}
    row |= {"measured_frac": 0.4, "unknown_node_h": 1.0}
    text = wording.format_row_total(row, mark="**").replace(wording.NARROW_SPACE, " ")
    assert text == "at least an estimated **4.1 MWh** (95 %: 3.7 to 4.9; 40 % measured)"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((77.9, 70.1, 86.6), "78 (95 %: 70 to 87)"),
        ((1.04, 0.9, 1.3), "1.04 (95 %: 0.90 to 1.30)"),
        # an upper end of another magnitude has its own digits
        ((82.9, 75.3, 8090.0), "83 (95 %: 75 to 8 100)"),
        ((82.9, 75.3, 1.2e5), "83 (95 %: 75 to 100 000)"),
        ((77.9, 70.1, None), "78 (95 %: 70 or more)"),
        ((77.9, None, None), "77.9 (interval unknown)"),
        ((None, None, None, "no training known"), "cannot be given: no training known"),
        ((None, 1.0, 2.0), "cannot be given: unknown"),
    ],
)
def test_ratio_text_has_interval_or_reason(values: tuple[Any, ...], expected: str) -> None:
    assert wording.format_ratio_interval(*values).replace(wording.NARROW_SPACE, " ") == expected


def test_carbon_text_has_the_ends_of_its_energy() -> None:
    assert wording.format_mass(89.8, 79.9, 105.7) == "90\u202fkg CO2e (80 to 106)"
    assert wording.format_mass(89.8, None, None) == "89.8\u202fkg CO2e"


def number(text: str) -> float:
    return float(text.replace(wording.NARROW_SPACE, ""))


@given(
    value=st.floats(1e-6, 1e12),
    below=st.floats(0.0, 1.0),
    above=st.floats(0.0, 3.0),
)
def test_rounding_keeps_the_value_inside_and_three_digits(
    value: float, below: float, above: float
) -> None:
    low, high = value * (1 - below), value * (1 + above)
    total, interval = wording.energy_texts(value, low, high)
    assert interval is not None
    texts = [total.rpartition(wording.NARROW_SPACE)[0], *interval.split(" to ")]
    shown, first, last = map(number, texts)
    assert first <= shown <= last
    assert len({len(text.partition(".")[2]) for text in texts}) == 1
    for text in texts:
        digits = text.replace(wording.NARROW_SPACE, "").replace(".", "").strip("0")
        assert len(digits) <= 3
    assert shown > 0


def test_value_outside_of_its_interval_widens_it() -> None:
    # the tables never have such a row; a text must not have it either
    assert wording.format_total(3111.0, 3120.0, 3121.0, 1.0).startswith("3.11")
    assert "95 %: 3.11 to 3.12" in wording.format_total(3111.0, 3120.0, 3121.0, 1.0)
