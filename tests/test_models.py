"""Notable AI models: what is read of a list, the trend through it, and how it is drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
import respx
from figure_checks import assert_legible, title, words
from matplotlib.figure import Figure

from footprint import models, tables
from footprint.errors import InputError
from footprint.figures import models as figure
from footprint.figures import style
from footprint.models import download
from footprint.tables.models import NotableModels

pytestmark = pytest.mark.filterwarnings("error")

HEADER = "Model,Organization,Publication date,Domain,Training compute (FLOP),Abstract"
URL = "https://list.test/notable_ai_models.csv"
LIST = "\n".join(
    [
        HEADER,
        'GPT-3 175B (davinci),OpenAI,2020-05-28,Language,3.14e+23,"Two\nlines, and a comma"',
        "AlexNet,Toronto,2012-09-30,Vision,4.7e17,",
        'Secret,Nobody,2024-01-01,"Multimodal,Language,Vision",,',
    ]
)


def listed(*lines: str, header: str = HEADER) -> models.Listed:
    return models.parse_epoch("\n".join([header, *lines]).encode(), where="list.csv")


def parsed(*lines: str, header: str = HEADER) -> pl.DataFrame:
    return listed(*lines, header=header).models


def refusal(*lines: str, header: str = HEADER) -> str:
    with pytest.raises(InputError) as caught:
        parsed(*lines, header=header)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def made_up(flops: dict[date, float], source: str = models.OWN) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "model": [f"m{i:03}" for i in range(len(flops))],
            "published_on": list(flops),
            "training_flop": list(flops.values()),
            "domain": "Language",
            "source": source,
        },
        schema_overrides={"training_flop": pl.Float64, "published_on": pl.Date},
    )


def yearly(first: int, last: int, *, doubling_months: float, start: float) -> dict[date, float]:
    """A model on each 1 January, exactly on a line."""
    days = [date(year, 1, 1) for year in range(first, last + 1)]
    months = [12 * (day - days[0]).days / 365.25 for day in days]
    return {day: start * 2 ** (m / doubling_months) for day, m in zip(days, months, strict=True)}


class TestOwnTable:
    def test_it_obeys_the_schema_and_names_its_sources(self) -> None:
        own = models.well_known()
        assert NotableModels.is_valid(tables.conform(NotableModels, own))
        assert 30 <= own.height <= 45
        assert own["model"].is_unique().all()
        assert own["training_flop"].null_count() == own["source"].null_count() == 0
        years = own["published_on"].dt.year()
        assert (years.min(), years.max()) == (1957, 2024)
        assert all(re.search(r"(19|20)\d\d", source) for source in own["source"])

    def test_numbers_that_papers_state(self) -> None:
        flop = dict(models.well_known().select("model", "training_flop").iter_rows())
        assert flop["GPT-3"] == 3.14e23  # Brown et al. 2020, table D.1
        assert flop["Llama 3.1 405B"] == 3.8e25  # Dubey et al. 2024, section 1
        assert flop["AlexNet"] == 4.7e17  # Sevilla et al. 2022

    def test_names_in_the_figure_are_in_the_table(self) -> None:
        assert set(figure.NAMED) <= set(models.well_known()["model"])


class TestEpoch:
    def test_a_list_is_read(self) -> None:
        read = models.parse_epoch(b"\xef\xbb\xbf" + LIST.encode(), where="list.csv")
        found = read.models
        assert read.set_aside.is_empty()
        assert tables.SetAside.is_valid(read.set_aside)
        assert found.rows() == [
            ("AlexNet", date(2012, 9, 30), 4.7e17, "Vision", "Epoch AI"),
            ("GPT-3 175B (davinci)", date(2020, 5, 28), 3.14e23, "Language", "Epoch AI"),
            ("Secret", date(2024, 1, 1), None, "Multimodal,Language,Vision", "Epoch AI"),
        ]
        assert NotableModels.is_valid(tables.conform(NotableModels, found))

    def test_dates_may_lack_a_day_or_a_month(self) -> None:
        found = parsed("a,,2012-09,,1e3,", "b,,2013,,1e3,", "c,, 2014-02-03 ,,1e3,")
        assert found["published_on"].to_list() == [
            date(2012, 9, 1),
            date(2013, 1, 1),
            date(2014, 2, 3),
        ]

    def test_lines_that_cannot_be_used_are_left_out_and_counted(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        flops = ("much", "0", "-1e20", "nan", "inf")
        with caplog.at_level("INFO"):
            found = listed(
                *(",,2012-01-01,,1e3,", "a,, ,,1e3,", "b,,2012-01-01,,1e3,", "c,,May 2012,,1e3,"),
                *(f"d{number},,2012-01-01,,{flop}," for number, flop in enumerate(flops)),
            )
        assert found.models["model"].to_list() == ["b"]
        assert tables.SetAside.is_valid(found.set_aside)
        assert found.set_aside.rows() == [
            ("models", "epoch.file", "its publication date cannot be read", 1, "c"),
            ("models", "epoch.file", "its training compute is no number over 0", 5, "d0"),
            ("models", "epoch.file", "no name or no publication date", 2, "a"),
        ]
        assert "list.csv: 5 lines: its training compute is no number over 0 (d0)" in caplog.text

    def test_of_repeated_lines_the_most_compute_stays(self) -> None:
        lines = ("a,,2012-01-01,,1e3,", "a,,2012-01-01,,,", "a,,2012-01-01,,2e3,")
        assert parsed(*lines)["training_flop"].to_list() == [2e3]

    @pytest.mark.parametrize("column", sorted(models.COLUMNS.values()))
    def test_a_missing_column_is_named_with_those_there_are(self, column: str) -> None:
        text = refusal("a,b,2012-01-01,d,1e3,f", header=HEADER.replace(column, "Other"))
        assert text.startswith(f"list.csv: has no column {column!r}; its columns are ")
        assert "Other" in text

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"\n<!DOCTYPE html><html>", "is a web page, not a CSV"),
            (b"PK\x03\x04...", "is a ZIP, not a CSV"),
            (b"Model\n\xff\xfe", "is no CSV in UTF-8"),
            (b"", "is no CSV in UTF-8"),
        ],
    )
    def test_other_content_is_refused_in_a_line(self, content: bytes, told: str) -> None:
        with pytest.raises(InputError, match=told) as caught:
            models.parse_epoch(content, where="list.csv")
        assert "\n" not in str(caught.value)

    def test_a_missing_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"epoch\.file .*cannot be read"):
            models.read_epoch(tmp_path / "none.csv")


@pytest.fixture
def web() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


class TestDownload:
    def test_a_file_wins_over_an_address_and_both_over_the_own_table(
        self, tmp_path: Path, web: respx.MockRouter
    ) -> None:
        route = web.get(URL).respond(text=LIST)
        copy = tmp_path / "copy.csv"
        copy.write_text(LIST.replace("AlexNet", "Other net"))
        assert "Other net" in download.gather(file=str(copy), url=URL).models["model"]
        assert not route.called
        assert download.gather(file=None, url=URL).models.height == 3
        own = download.gather(file=None, url=None)
        assert own.models.equals(models.well_known())
        assert own.set_aside.is_empty()

    def test_a_list_that_cannot_be_had_costs_itself(
        self, tmp_path: Path, web: respx.MockRouter, caplog: pytest.LogCaptureFixture
    ) -> None:
        web.get(URL).respond(404)
        copy = tmp_path / "copy.csv"
        copy.write_bytes(b"PK\x03\x04...")
        for source, found, told in (
            ("epoch.url", download.gather(file=None, url=URL), "was refused (HTTP 404)"),
            ("epoch.file", download.gather(file=str(copy), url=None), "is a ZIP, not a CSV"),
            ("epoch.file", download.gather(file=str(tmp_path), url=None), "cannot be read (Is a "),
        ):
            assert found.models.equals(models.well_known())
            ((stage, named, reason, n_rows, _),) = found.set_aside.rows()
            assert (stage, named, n_rows) == ("models", source, 1)
            assert reason.startswith(told)
            assert reason.endswith(": the built-in models stand in")
            assert told in caplog.text

    def test_what_may_pass_is_tried_again(self, web: respx.MockRouter) -> None:
        answers: list[httpx.Response | Exception] = [
            httpx.Response(503),
            httpx.ConnectError("no route"),
            httpx.Response(200, text="a"),
        ]
        route = web.get(URL).mock(side_effect=answers)
        assert download.fetch(URL, wait_s=0.0) == b"a"
        assert route.call_count == 3

    def test_after_all_tries_a_line_says_so(self, web: respx.MockRouter) -> None:
        route = web.get(URL).mock(side_effect=httpx.ConnectError("no route"))
        with pytest.raises(InputError) as caught:
            download.fetch(URL, wait_s=0.0)
        assert str(caught.value) == (
            f"{URL}: cannot be fetched (no route); try again, or mend epoch.url, or give a "
            "downloaded copy as epoch.file"
        )
        assert route.call_count == download.ATTEMPTS

    def test_a_refusal_is_not_tried_again(self, web: respx.MockRouter) -> None:
        route = web.get(URL).respond(404)
        with pytest.raises(InputError, match=r"was refused \(HTTP 404\); mend epoch.url"):
            download.fetch(URL, wait_s=0.0)
        assert route.call_count == 1

    def test_an_address_that_is_none(self) -> None:
        with pytest.raises(InputError, match=r"epoch\.url \(here\): is no address"):
            download.fetch("here", wait_s=0.0)


class TestTrend:
    def test_a_line_is_found_again(self) -> None:
        found = models.trend(made_up(yearly(1990, 2009, doubling_months=18.0, start=1e6)))
        assert found is not None
        assert found.doubling_months == pytest.approx(18.0)
        (first, start), (last, end) = found.ends
        assert (first, last) == (date(1990, 1, 1), date(2009, 1, 1))
        # 6940 days are 228.01 months
        assert start == pytest.approx(1e6)
        assert end == pytest.approx(1e6 * 2 ** (12 * 6940 / 365.25 / 18))

    def test_it_is_of_the_time_asked_for(self) -> None:
        both = yearly(1990, 2009, doubling_months=20.0, start=1e6)
        both |= yearly(2010, 2020, doubling_months=6.0, start=1e15)
        frame = made_up(both)
        since = models.trend(frame, since=models.DEEP_LEARNING)
        before = models.trend(frame, before=models.DEEP_LEARNING)
        assert since is not None
        assert before is not None
        assert since.doubling_months == pytest.approx(6.0)
        assert before.doubling_months == pytest.approx(20.0)

    def test_few_models_or_no_growth_have_none(self) -> None:
        few = yearly(2001, 2000 + models.FEWEST_MODELS - 1, doubling_months=9.0, start=1.0)
        assert models.trend(made_up(few)) is None
        flat = dict.fromkeys(yearly(2000, 2020, doubling_months=9.0, start=1.0), 5.0)
        assert models.trend(made_up(flat)) is None
        one_day = made_up({date(2000, 1, 1): 1.0})
        assert models.trend(pl.concat([one_day] * 9)) is None


def drawn(frame: pl.DataFrame) -> Figure:
    return figure.plot(frame, provenance=models.provenance(frame))


class TestFigure:
    def test_the_own_table_can_be_read(self) -> None:
        shown = drawn(models.well_known())
        assert_legible(shown)
        assert title(shown) == (
            "Since 2010, the training compute of notable AI models has doubled about every "
            "5 months, not every 20 months as before"
        )
        text = words(shown)
        assert set(figure.NAMED) <= set(text.split("\n"))
        for era in ("before deep learning", "deep learning", "large scale"):
            assert era in text.split("\n")
        assert "10²⁴" in text
        assert shown.get_figwidth() * 25.4 == pytest.approx(style.TEXT_MM, abs=1e-6)

    def test_every_known_model_has_a_mark(self) -> None:
        secret = made_up({date(2020, 1, 1): 1.0}).with_columns(
            training_flop=pl.lit(None, pl.Float64)
        )
        shown = drawn(pl.concat([models.well_known(), secret]))
        (axes,) = (each for each in shown.axes if each.get_label() == "models")
        # those with a name have a second one, of a ring
        marks = [each for each in axes.lines if each.get_markeredgecolor() == "white"]
        heights = sorted(y for line in marks for y in np.asarray(line.get_ydata()).tolist())
        assert heights == sorted(models.well_known()["training_flop"])
        assert "44 of 45 models" in shown.get_supxlabel()

    def test_names_of_the_list_are_known(self) -> None:
        named = {name: place.also[0] for name, place in figure.NAMED.items() if place.also}
        listed = models.well_known().with_columns(
            pl.col("model").replace(named), source=pl.lit(models.EPOCH)
        )
        shown = drawn(listed)
        assert set(figure.NAMED) <= set(words(shown).split("\n"))
        assert "Epoch AI, notable AI models, CC BY" in shown.get_supxlabel()

    def test_few_models_are_drawn_without_a_trend(self) -> None:
        shown = drawn(made_up({date(2015, 1, 1): 1e19, date(2016, 1, 1): 2e19}))
        assert title(shown) == "Training compute of notable AI models, by date of publication"
        assert_legible(shown)

    def test_without_models_the_panel_says_so(self) -> None:
        shown = drawn(models.well_known().clear())
        assert "No model with a known training compute" in words(shown)
        assert_legible(shown)

    def test_domains_are_of_few_kinds(self) -> None:
        assert figure.domain("Language") == "language"
        assert figure.domain("Vision,Video") == "images and video"
        assert figure.domain("Multimodal,Language,Vision") == "several of these"
        assert figure.domain("Vision,Language") == "several of these"
        assert figure.domain("Language,Biology") == "language"
        assert figure.domain("Earth science") == figure.domain(None) == "other"

    @pytest.mark.parametrize("form", ["svg", "pdf", "png"])
    def test_the_same_table_gives_the_same_file(self, tmp_path: Path, form: str) -> None:
        paths = [tmp_path / f"{name}.{form}" for name in ("one", "two")]
        for path in paths:
            style.save(drawn(models.well_known()), [path])
        assert paths[0].read_bytes() == paths[1].read_bytes()
        assert len(paths[0].read_bytes()) > 4000
