"""Notable AI models: reading a list, its trend, and its figure."""

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
from matplotlib.figure import Figure

from footprint.config import settings
from footprint.core.errors import InputError
from footprint.report import notable_models
from footprint.report.figures import models as figure
from footprint.report.figures import style
from footprint.report.notable_models import download
from footprint.schemas.raw import RejectedRows
from footprint.schemas.usage import NotableModels
from footprint.schemas.writing import conform
from tests.support.configurations import configuration_with_key
from tests.support.figure_checks import assert_legible, title_text, written_text

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


def listed(*lines: str, header: str = HEADER) -> notable_models.ModelList:
    return notable_models.parse_epoch("\n".join([header, *lines]).encode(), where="list.csv")


def parsed(*lines: str, header: str = HEADER) -> pl.DataFrame:
    return listed(*lines, header=header).models


def refusal(*lines: str, header: str = HEADER) -> str:
    with pytest.raises(InputError) as caught:
        parsed(*lines, header=header)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def made_up(flops: dict[date, float], source: str = notable_models.BUILT_IN_SOURCE) -> pl.DataFrame:
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
    def test_built_in_table_is_valid_and_has_sources(self) -> None:
        own = notable_models.built_in_models()
        assert NotableModels.is_valid(conform(NotableModels, own))
        assert 30 <= own.height <= 45
        assert own["model"].is_unique().all()
        assert own["training_flop"].null_count() == own["source"].null_count() == 0
        years = own["published_on"].dt.year()
        assert (years.min(), years.max()) == (1957, 2024)
        assert all(re.search(r"(19|20)\d\d", source) for source in own["source"])

    def test_built_in_numbers_match_the_papers(self) -> None:
        flop = dict(notable_models.built_in_models().select("model", "training_flop").iter_rows())
        assert flop["GPT-3"] == 3.14e23  # Brown et al. 2020, table D.1
        assert flop["Llama 3.1 405B"] == 3.8e25  # Dubey et al. 2024, section 1
        assert flop["AlexNet"] == 4.7e17  # Sevilla et al. 2022

    def test_names_in_the_figure_are_in_the_built_in_table(self) -> None:
        assert set(figure.NAME_PLACES) <= set(notable_models.built_in_models()["model"])


class TestEpoch:
    def test_parse_epoch_reads_models_of_a_list(self) -> None:
        read = notable_models.parse_epoch(b"\xef\xbb\xbf" + LIST.encode(), where="list.csv")
        found = read.models
        assert read.rejected.is_empty()
        assert RejectedRows.is_valid(read.rejected)
        assert found.rows() == [
            ("AlexNet", date(2012, 9, 30), 4.7e17, "Vision", "Epoch AI"),
            ("GPT-3 175B (davinci)", date(2020, 5, 28), 3.14e23, "Language", "Epoch AI"),
            ("Secret", date(2024, 1, 1), None, "Multimodal,Language,Vision", "Epoch AI"),
        ]
        assert NotableModels.is_valid(conform(NotableModels, found))

    def test_parse_epoch_completes_dates_without_day_or_month(self) -> None:
        found = parsed("a,,2012-09,,1e3,", "b,,2013,,1e3,", "c,, 2014-02-03 ,,1e3,")
        assert found["published_on"].to_list() == [
            date(2012, 9, 1),
            date(2013, 1, 1),
            date(2014, 2, 3),
        ]

    def test_parse_epoch_rejects_and_counts_unusable_lines(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        flops = ("much", "0", "-1e20", "nan", "inf")
        with caplog.at_level("INFO"):
            found = listed(
                *(",,2012-01-01,,1e3,", "a,, ,,1e3,", "b,,2012-01-01,,1e3,", "c,,May 2012,,1e3,"),
                *(f"d{number},,2012-01-01,,{flop}," for number, flop in enumerate(flops)),
            )
        assert found.models["model"].to_list() == ["b"]
        assert RejectedRows.is_valid(found.rejected)
        assert found.rejected.rows() == [
            ("models", "epoch.file", "its publication date cannot be read", 1, "line 5"),
            (
                "models",
                "epoch.file",
                "its training compute is not a number over 0",
                5,
                "lines 6, 7, 8, 9, 10",
            ),
            ("models", "epoch.file", "no name or no publication date", 2, "lines 2, 3"),
        ]
        assert (
            "list.csv: 5 lines: its training compute is not a number over 0 (lines 6, "
            in caplog.text
        )

    def test_parse_epoch_keeps_the_most_compute_of_repeated_lines(self) -> None:
        lines = ("a,,2012-01-01,,1e3,", "a,,2012-01-01,,,", "a,,2012-01-01,,2e3,")
        assert parsed(*lines)["training_flop"].to_list() == [2e3]

    @pytest.mark.parametrize("column", ["Model", "Publication date", "Training compute (FLOP)"])
    def test_parse_epoch_without_a_column_names_it_and_the_others(self, column: str) -> None:
        text = refusal("a,b,2012-01-01,d,1e3,f", header=HEADER.replace(column, "Other"))
        assert text.startswith(f"list.csv: has no column {column!r}; its columns are ")
        assert "Other" in text

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"\n<!DOCTYPE html><html>", "is a web page, not a CSV"),
            (b"PK\x03\x04...", "is a ZIP, not a CSV"),
            (b"Model\n\xff\xfe", "is not a CSV in UTF-8"),
            (b"", "is not a CSV"),
        ],
    )
    def test_parse_epoch_refuses_other_content_in_one_line(self, content: bytes, told: str) -> None:
        with pytest.raises(InputError, match=told) as caught:
            notable_models.parse_epoch(content, where="list.csv")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "header",
        [
            "System,Organization,Publication date,Domain,Training compute (FLOP),Abstract",
            "system , Organization,Publication  Date,domain,Training Compute (FLOPs),Abstract",
            "Model,System,Publication date,Domain,Training compute (FLOP),Abstract",
            "Model;Organization;Publication date;Domain;Training compute (FLOP);Abstract",
        ],
    )
    def test_parse_epoch_reads_lists_of_other_years(self, header: str) -> None:
        separator = ";" if ";" in header else ","
        line = separator.join(["a", "b", "2012-01-01", "Vision", "1e3", ""])
        assert parsed(line, header=header).rows() == [
            ("a", date(2012, 1, 1), 1e3, "Vision", "Epoch AI")
        ]

    def test_parse_epoch_reads_a_list_without_domains_and_decimal_commas(self) -> None:
        found = parsed("2012;a;3,14E+23", header="Publication date;System;Training compute (FLOP)")
        assert found.rows() == [("a", date(2012, 1, 1), 3.14e23, None, "Epoch AI")]

    def test_parse_epoch_names_torn_lines_and_reads_the_others(self) -> None:
        found = listed(
            "a,,2012-01-01,,1e3,",
            "b,,2012-01-01,,1e3",
            'c,,2012-01-01,,1e3,"two\nlines"',
            "d,,2012-01-01,,1e3,,more",
            "e,,2012-01-01,,1e3,,,",
            'f,,2012-01-01,"never closed,1e3,',
            'g,,2012-01-01,,1e3,"quoted"',
            'h,,2012-01-01,,1e3,"quoted" twice',
            "i,,2012-01-01,,1e3,",
            'j,,2012-01-01,,1e3,"open',
        )
        assert found.models["model"].to_list() == ["a", "c", "e", "g", "i"]
        (row,) = found.rejected.to_dicts()
        assert row["reason"].startswith("the line is torn")
        assert (row["n_rows"], row["example"]) == (5, "lines 3, 6, 8, 10, 12")

    def test_parse_epoch_of_a_file_of_torn_lines_is_refused(self) -> None:
        assert "1000 lines up to line 1002 are torn" in refusal(*(["x"] * 1100))

    def test_list_of_december_2024_gives_a_mark_for_each_of_its_443_models(
        self, shared_data: Path
    ) -> None:
        config = settings.prepare_configuration(
            configuration_with_key("epoch.file", str(shared_data / "epoch"))
        )
        read = notable_models.read_epoch(config["epoch"]["file"])
        assert read.rejected.is_empty()
        assert read.models.height == 884
        shown = drawn(read.models)
        assert shown.get_supxlabel().startswith("443 of 884 models")
        assert sorted(heights_of_marks(shown)) == sorted(read.models["training_flop"].drop_nulls())
        assert_legible(shown)

    def test_read_epoch_without_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"epoch\.file .*there is no such file"):
            notable_models.read_epoch(tmp_path / "none.csv")


@pytest.fixture
def web() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


class TestDownload:
    def test_gather_prefers_file_to_address_to_built_in_table(
        self, tmp_path: Path, web: respx.MockRouter
    ) -> None:
        route = web.get(URL).respond(text=LIST)
        copy = tmp_path / "copy.csv"
        copy.write_text(LIST.replace("AlexNet", "Other net"))
        assert "Other net" in download.load_models(file=str(copy), url=URL).models["model"]
        assert not route.called
        assert download.load_models(file=None, url=URL).models.height == 3
        own = download.load_models(file=None, url=None)
        assert own.models.equals(notable_models.built_in_models())
        assert own.rejected.is_empty()

    def test_gather_of_an_unusable_list_falls_back_to_built_in_models(
        self, tmp_path: Path, web: respx.MockRouter, caplog: pytest.LogCaptureFixture
    ) -> None:
        web.get(URL).respond(404)
        copy = tmp_path / "copy.csv"
        copy.write_bytes(b"PK\x03\x04...")
        for source, found, told in (
            ("epoch.url", download.load_models(file=None, url=URL), "was refused (HTTP 404)"),
            (
                "epoch.file",
                download.load_models(file=str(copy), url=None),
                "a ZIP archive, not a text",
            ),
            (
                "epoch.file",
                download.load_models(file=str(tmp_path), url=None),
                "a folder where a file is expected",
            ),
        ):
            assert found.models.equals(notable_models.built_in_models())
            ((stage, named, reason, n_rows, _),) = found.rejected.rows()
            assert (stage, named, n_rows) == ("models", source, 1)
            assert reason.startswith(told)
            assert reason.endswith(": the built-in models replace it")
            assert told in caplog.text

    def test_fetch_retries_transient_failures(self, web: respx.MockRouter) -> None:
        answers: list[httpx.Response | Exception] = [
            httpx.Response(503),
            httpx.ConnectError("no route"),
            httpx.Response(200, text="a"),
        ]
        route = web.get(URL).mock(side_effect=answers)
        assert download.download_list(URL, wait_s=0.0) == b"a"
        assert route.call_count == 3

    def test_fetch_after_all_tries_is_refused_in_one_line(self, web: respx.MockRouter) -> None:
        route = web.get(URL).mock(side_effect=httpx.ConnectError("no route"))
        with pytest.raises(InputError) as caught:
            download.download_list(URL, wait_s=0.0)
        assert str(caught.value) == (
            f"{URL}: cannot be downloaded (no route); try again, or fix epoch.url, or set "
            "epoch.file to a downloaded copy"
        )
        assert route.call_count == download.ATTEMPTS

    def test_fetch_does_not_retry_a_refusal(self, web: respx.MockRouter) -> None:
        route = web.get(URL).respond(404)
        with pytest.raises(InputError, match=r"was refused \(HTTP 404\); fix epoch.url"):
            download.download_list(URL, wait_s=0.0)
        assert route.call_count == 1

    def test_fetch_refuses_an_invalid_address(self) -> None:
        with pytest.raises(InputError, match=r"epoch\.url \(here\): is not an address"):
            download.download_list("here", wait_s=0.0)


class TestTrend:
    def test_trend_of_models_on_a_line_recovers_it(self) -> None:
        found = notable_models.fit_trend(
            made_up(yearly(1990, 2009, doubling_months=18.0, start=1e6))
        )
        assert found is not None
        assert found.doubling_months == pytest.approx(18.0)
        (first, start), (last, end) = found.ends
        assert (first, last) == (date(1990, 1, 1), date(2009, 1, 1))
        # 6940 days are 228.01 months
        assert start == pytest.approx(1e6)
        assert end == pytest.approx(1e6 * 2 ** (12 * 6940 / 365.25 / 18))

    def test_trend_uses_the_models_of_the_given_time(self) -> None:
        both = yearly(1990, 2009, doubling_months=20.0, start=1e6)
        both |= yearly(2010, 2020, doubling_months=6.0, start=1e15)
        frame = made_up(both)
        since = notable_models.fit_trend(frame, since=notable_models.DEEP_LEARNING_START)
        before = notable_models.fit_trend(frame, before=notable_models.DEEP_LEARNING_START)
        assert since is not None
        assert before is not None
        assert since.doubling_months == pytest.approx(6.0)
        assert before.doubling_months == pytest.approx(20.0)

    def test_trend_of_few_models_or_no_growth_is_none(self) -> None:
        few = yearly(2001, 2000 + notable_models.FEWEST_MODELS - 1, doubling_months=9.0, start=1.0)
        assert notable_models.fit_trend(made_up(few)) is None
        flat = dict.fromkeys(yearly(2000, 2020, doubling_months=9.0, start=1.0), 5.0)
        assert notable_models.fit_trend(made_up(flat)) is None
        one_day = made_up({date(2000, 1, 1): 1.0})
        assert notable_models.fit_trend(pl.concat([one_day] * 9)) is None


def drawn(frame: pl.DataFrame) -> Figure:
    return figure.plot(frame)


def heights_of_marks(shown: Figure) -> list[float]:
    """Training compute of each mark; those with a name have a second one, of a ring."""
    (axes,) = (each for each in shown.axes if each.get_label() == "models")
    marks = [each for each in axes.lines if each.get_markeredgecolor() == "white"]
    return [y for line in marks for y in np.asarray(line.get_ydata()).tolist()]


class TestFigure:
    def test_figure_of_the_built_in_table_is_legible_and_complete(self) -> None:
        shown = drawn(notable_models.built_in_models())
        assert_legible(shown)
        assert title_text(shown) == (
            "Since 2010, the training compute of notable AI models has doubled about every "
            "5 months, not every 20 months as before"
        )
        text = written_text(shown)
        assert set(figure.NAME_PLACES) <= set(text.split("\n"))
        for era in ("before deep learning", "deep learning", "large scale"):
            assert era in text.split("\n")
        assert "10²⁴" in text
        assert shown.get_figwidth() * 25.4 == pytest.approx(style.TEXT_MM, abs=1e-6)

    def test_figure_has_a_mark_for_every_known_model(self) -> None:
        secret = made_up({date(2020, 1, 1): 1.0}).with_columns(
            training_flop=pl.lit(None, pl.Float64)
        )
        shown = drawn(pl.concat([notable_models.built_in_models(), secret]))
        assert sorted(heights_of_marks(shown)) == sorted(
            notable_models.built_in_models()["training_flop"]
        )
        assert "44 of 45 models" in shown.get_supxlabel()

    def test_figure_names_models_by_their_names_in_the_list(self) -> None:
        named = {name: place.also[0] for name, place in figure.NAME_PLACES.items() if place.also}
        listed = notable_models.built_in_models().with_columns(
            pl.col("model").replace(named), source=pl.lit(notable_models.EPOCH_SOURCE)
        )
        shown = drawn(listed)
        assert set(figure.NAME_PLACES) <= set(written_text(shown).split("\n"))
        assert "Epoch AI, notable AI models, CC BY" in shown.get_supxlabel()

    def test_figure_of_few_models_has_no_trend(self) -> None:
        shown = drawn(made_up({date(2015, 1, 1): 1e19, date(2016, 1, 1): 2e19}))
        assert title_text(shown) == "Training compute of notable AI models, by date of publication"
        assert_legible(shown)

    def test_figure_without_models_gives_the_reason(self) -> None:
        shown = drawn(notable_models.built_in_models().clear())
        assert "No model with a known training compute" in written_text(shown)
        assert_legible(shown)

    def test_domain_maps_listed_domains_to_groups(self) -> None:
        assert figure.domain_group("Language") == "language"
        assert figure.domain_group("Vision,Video") == "images and video"
        assert figure.domain_group("Multimodal,Language,Vision") == "several of these"
        assert figure.domain_group("Vision,Language") == "several of these"
        assert figure.domain_group("Language,Biology") == "language"
        assert figure.domain_group("Earth science") == figure.domain_group(None) == "other"

    @pytest.mark.parametrize("form", ["svg", "pdf", "png"])
    def test_figure_of_an_equal_table_gives_equal_files(self, tmp_path: Path, form: str) -> None:
        paths = [tmp_path / f"{name}.{form}" for name in ("one", "two")]
        for path in paths:
            style.save_figure(drawn(notable_models.built_in_models()), [path])
        assert paths[0].read_bytes() == paths[1].read_bytes()
        assert len(paths[0].read_bytes()) > 4000
