"""Numbers in words, as the summary, figures and tables show them."""

from __future__ import annotations

import pytest

from footprint.report import wording


@pytest.mark.parametrize(
    ("kwh", "expected"),
    [
        (None, "not measured"),
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
    assert wording.format_energy(kwh).replace(wording.THIN_SPACE, " ") == expected


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (None, "unknown"),
        (0.0, "0 %"),
        (0.0006, "0.06 %"),
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
    assert wording.format_percent(fraction).replace(wording.THIN_SPACE, " ") == expected


def test_number_texts_have_thin_spaces_and_units() -> None:
    assert wording.format_count(1234567) == "1\u2009234\u2009567"
    assert wording.format_number(-1234.5) == "−1\u2009230"
    assert wording.format_duration(0.5) == "30\u2009min"
    assert wording.format_duration(5.416) == "5.42\u2009h"
    assert wording.format_duration(732.0, of="node ") == "30.5\u2009node days"
