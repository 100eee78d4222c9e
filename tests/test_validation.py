"""All methods against a wattmetre: recordings in both layouts, ratios by hand, the real ones."""

import csv
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from polars.testing import assert_frame_equal

from footprint import report_tables, settings, study, tables, validation_table
from footprint.errors import InputError
from footprint.figures import style
from footprint.figures import validation as figure
from footprint.validation import against_wattmetre, recordings
from footprint.validation.recordings import BMC, WATTMETRE, Recordings

DOCUMENT = Path(__file__).parents[1] / "docs" / "validation-gemini.md"
START = datetime(2022, 11, 7, 22, 58, tzinfo=UTC)
BMC_W, WATTMETRE_W = 900.0, 1000.0

# A minute apart, over midnight; 36 s at 1000 W are 0.01 kWh.
RUNS: list[dict[str, Any]] = [
    {"application": "idle", "tool": "carbon_tracker", "s": 36.25, "kwh": 0.00159},
    {"application": "mg", "tool": "codecarbon", "s": 108.0, "kwh": 0.009, "cpu": 0.004},
    {"application": "lu", "tool": "energy scope", "s": 36.0, "kwh": 0.002},
    {"application": "ep", "tool": "experiment_impact_tracker", "s": 36.0, "kwh": 0.00158},
    {"application": "ep", "tool": "codecarbon", "s": 36.0, "kwh": -0.07, "cpu": -0.0725},
    {"application": "ep", "tool": "codecarbon", "s": 36.0, "kwh": 0.001, "cpu": -0.001},
    {"application": "ep", "tool": "codecarbon", "s": 36.0, "kwh": 0.041},
    {"application": "ep", "tool": "carbon_tracker", "s": 36.0, "kwh": 0.041},
    {"application": "ep", "tool": "codecarbon", "s": 36.0, "kwh": None},
    {"application": "ep", "tool": "wattwatcher", "s": 36.0, "kwh": 0.002},
]

pytestmark = pytest.mark.filterwarnings("error")


def rows() -> list[dict[str, Any]]:
    """The runs with their bounds, in seconds since 1970."""
    start = START.timestamp() + 0.4
    found = []
    for number, each in enumerate(RUNS):
        found.append(each | {"uid": 1_000_000 + number, "start": start, "stop": start + each["s"]})
        start += each["s"] + 60
    return found


def samples() -> list[tuple[str, str, float]]:
    """Time, metric and power as Kwollect tells them, over all runs and a little beyond."""
    seconds = int(sum(each["s"] + 60 for each in RUNS))
    every = {BMC: (5, BMC_W), WATTMETRE: (1, WATTMETRE_W)}
    paris = "+01:00"
    return [
        ((START + timedelta(hours=1, seconds=second)).strftime("%FT%T") + paris, metric, power_w)
        for metric, (period_s, power_w) in every.items()
        for second in range(-5, seconds, period_s)
    ]


def exports(folder: Path) -> Path:
    """The recordings as `runs.csv` and answers of Kwollect."""
    (folder / "power").mkdir(parents=True)
    names = ["uid", "exp_id", *recordings.COLUMNS.values()]
    with (folder / "runs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for row in rows():
            writer.writerow(
                {
                    "uid": row["uid"],
                    "exp_id": "280_0",
                    "application": row["application"],
                    "tool": row["tool"],
                    "started_at": row["start"],
                    "stopped_at": row["stop"],
                    "tool_energy_kwh": row["kwh"],
                    "tool_cpu_kwh": row.get("cpu"),
                }
            )
    for metric in (BMC, WATTMETRE):
        lines = [
            {"timestamp": at, "device_id": device, "metric_id": metric, "value": power_w}
            for at, name, power_w in samples()
            for device in ("gemini-1", "gemini-2.lyon.grid5000.fr")[: 2 if metric == BMC else 1]
            if name == metric
        ]
        text = "\n".join(json.dumps(line) for line in lines)
        (folder / "power" / f"{metric}.jsonl").write_text(text)
    return folder


def checkout(folder: Path) -> Path:
    """The same as the authors keep it: fields over several lines, one meter a row."""
    (folder / recordings.CAMPAIGN).mkdir(parents=True)
    names = ["tool_components", "host_name", "error", *recordings.AUTHORS_COLUMNS.values()]
    with (folder / recordings.TABLE).open("w", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for row in rows():
            writer.writerow(
                {
                    "tool_components": "{'cpu': array([[4173.9, 4243.8],\n [1, 2]])}",
                    "host_name": "gemini-1\n",
                    "gpu_0_appli": row["application"],
                    "tool_name": row["tool"],
                    "gpu_0_start_benchmark": row["start"],
                    "gpu_0_stop_benchmark": row["stop"],
                    "tool_energy_consumption(kWh)": row["kwh"],
                    "tool_cpu_energy": row.get("cpu"),
                }
            )
    lines = [
        f"{at},{power_w},0.0," if metric == WATTMETRE else f"{at},,0.0,{power_w}"
        for at, metric, power_w in samples()
    ]
    header = f"timestamp,{WATTMETRE},timestamp_sec,{BMC}"
    # requests for neighbouring runs overlap
    (folder / recordings.METRICS).write_text("\n".join([header, *lines, *lines[-9:], ""]))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exports(tmp_path_factory.mktemp("exports") / "gemini")


@pytest.fixture(scope="module")
def read(folder: Path) -> Recordings:
    return recordings.read(folder)


@pytest.fixture(scope="module")
def compared(read: Recordings) -> pl.DataFrame:
    return against_wattmetre.compare(read)


def test_both_layouts_hold_the_same(read: Recordings, tmp_path: Path) -> None:
    other = recordings.read(checkout(tmp_path / "repository"))
    for mine, theirs in zip(read, other, strict=True):
        assert_frame_equal(mine, theirs)
    assert read.runs["run_id"].to_list() == [row["uid"] for row in rows()]
    assert read.runs["started_at"][0] == START + timedelta(seconds=0.4)
    assert read.bmc["power_w"].unique().to_list() == [BMC_W]
    assert read.wattmetre["timestamp"][0] == START - timedelta(seconds=5)


def test_the_files_of_a_folder(folder: Path, tmp_path: Path) -> None:
    names = [path.relative_to(folder).as_posix() for path in recordings.files(folder)]
    assert names == ["runs.csv", f"power/{BMC}.jsonl", f"power/{WATTMETRE}.jsonl"]
    other = checkout(tmp_path)
    assert recordings.files(other) == [other / recordings.TABLE, other / recordings.METRICS]
    assert recordings.files(tmp_path / "nothing") == []


def test_a_study_knows_the_recordings(folder: Path) -> None:
    raw = {"study": {"site": "nancy", "start": "2025-03-03", "end": "2025-03-04"}}
    fetched = study.plan(settings.load(raw))
    assert fetched.recordings == []
    assert re.fullmatch(
        r"gemini-1, Lyon, 7 and 8 November 2022 · Jay et al., CCGrid 2023 · footprint [\d.]+",
        fetched.recordings_provenance,
    )
    given = study.plan(settings.load(raw | {"validation": {"directory": str(folder)}}))
    assert given.recordings == [str(path) for path in recordings.files(folder)]


@pytest.mark.parametrize("spoil", ["nothing", "no power", "no metrics"])
def test_a_folder_of_something_else(spoil: str, tmp_path: Path) -> None:
    if spoil == "no power":
        (tmp_path / "runs.csv").write_text("uid\n")
    if spoil == "no metrics":
        (checkout(tmp_path) / recordings.METRICS).unlink()
    with pytest.raises(InputError) as error:
        recordings.read(tmp_path)
    assert str(error.value).startswith(f"validation.directory: {tmp_path} holds neither runs.csv ")
    assert "processed_table.csv with g5k_metrics.csv; name a folder of " in str(error.value)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("runs.csv", "application", "what", "runs.csv: has no column 'application'"),
        ("runs.csv", "1000003,", "1000002,", "runs.csv: run 1000002 stands twice"),
        ("runs.csv", "1000001,", "one,", "runs.csv: run 2 has no number, no application, or no st"),
        ("runs.csv", f",{START.timestamp() + 0.4},", ",,", "runs.csv: run 1 has no number"),
        (f"power/{BMC}.jsonl", "gemini-1", "gemini-9", f"power: no reading of {BMC} of gemini-1"),
        (f"power/{BMC}.jsonl", '"value": 900.0', '"value": "?"', f"{BMC}.jsonl:1: the value '?'"),
        (recordings.TABLE, "tool_name", "name", "processed_table.csv: has no column 'tool_name'"),
        (recordings.METRICS, "2022-11-07T", "7/11 ", "metrics.csv: cannot tell the time of '7/11 "),
    ],
)
def test_files_that_cannot_be_used(
    name: str, old: str, new: str, said: str, tmp_path: Path
) -> None:
    path = (checkout if "GPU" in name else exports)(tmp_path / "spoilt") / name
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=re.escape(said)):
        recordings.read(tmp_path / "spoilt")


def test_an_empty_table(tmp_path: Path) -> None:
    (exports(tmp_path / "empty") / "runs.csv").write_text("")
    with pytest.raises(InputError, match=r"runs\.csv: cannot be read as CSV"):
        recordings.read(tmp_path / "empty")


def of_run(compared: pl.DataFrame, run: int, method: str) -> dict[str, Any]:
    mine = (pl.col("run_id") == 1_000_000 + run) & (pl.col("method") == method)
    return compared.row(by_predicate=mine, named=True)


@pytest.mark.parametrize(
    ("method", "ratio"),
    [
        ("wattmetre", 1.0),
        ("bmc", 0.9),
        ("mlco2@025b988", 8 * 300 / 1000),
        ("mlco2_table@025b988", 8 * 300 / 1000),
        ("green_algorithms@3.0", (8 * 300 + 2 * 135 + 512 * 0.3725) / 1000),
        ("ga4hpc@0.4", 2860.72 / 1000),
        ("codecarbon_2@2.8.4", (8 * 300 + 135 / 2 + 512 * 3 / 8) / 1000),
    ],
)
def test_ratios_of_constant_power(compared: pl.DataFrame, method: str, ratio: float) -> None:
    of_method = compared.filter(pl.col("method") == method)
    assert len(of_method) == len(RUNS)
    assert of_method["ratio"].to_list() == pytest.approx([ratio] * len(RUNS), rel=1e-9)
    assert of_method["reason"].null_count() == len(RUNS)


@pytest.mark.parametrize(
    ("run", "method", "ratio"),
    [
        (0, "carbontracker", 0.001 / (0.01 * 36.25 / 36)),  # without its PUE of 1.59
        (1, "codecarbon", 0.009 / 0.03),
        (2, "energyscope", 0.002 / 0.01),
        (3, "experiment_impact_tracker", 0.001 / 0.01),  # without its PUE of 1.58
        (7, "carbontracker", 0.041 / 1.59 / 0.01),  # with it, it would be more than 4 kW
    ],
)
def test_ratios_of_tools(compared: pl.DataFrame, run: int, method: str, ratio: float) -> None:
    row = of_run(compared, run, method)
    assert row["ratio"] == pytest.approx(ratio, rel=1e-9)
    assert (row["kind"], row["reason"]) == ("tool", None)


@pytest.mark.parametrize(
    ("run", "method", "reason"),
    [
        (4, "codecarbon", against_wattmetre.NEGATIVE),
        (5, "codecarbon", against_wattmetre.NEGATIVE),
        (6, "codecarbon", against_wattmetre.TOO_MUCH),
        (8, "codecarbon", against_wattmetre.NOT_RECORDED),
        (9, "wattwatcher", against_wattmetre.UNKNOWN_TOOL),
    ],
)
def test_what_cannot_be_is_set_aside_and_counted(
    compared: pl.DataFrame, run: int, method: str, reason: str
) -> None:
    row = of_run(compared, run, method)
    assert (row["energy_kwh"], row["ratio"], row["reason"]) == (None, None, reason)
    assert row["wattmetre_kwh"] == pytest.approx(0.01)


def test_a_tool_a_run_and_no_method_at_another_pue(compared: pl.DataFrame) -> None:
    tool = compared.filter(pl.col("kind") == "tool")
    assert tool["run_id"].to_list() == [row["uid"] for row in rows()]
    methods = set(compared["method"].str.split("@").list.first())
    assert not {"recorded", "green_algorithms_pue_2", "green_algorithms_pue_3"} & methods


def test_chosen_estimators_alone(read: Recordings) -> None:
    wanted = ["mlco2", "recorded", "green_algorithms_pue_2"]
    found = against_wattmetre.compare(read, estimators=wanted)
    ours = found.filter(pl.col("kind") == "estimator")
    assert ours["method"].unique().to_list() == ["mlco2@025b988"]
    with pytest.raises(InputError, match="there is no estimator `mlco`"):
        against_wattmetre.compare(read, estimators=["mlco"])


def test_a_run_that_a_meter_did_not_see(read: Recordings) -> None:
    cut = read.runs["started_at"][1] + timedelta(seconds=20)
    early = pl.col("timestamp") < cut
    no_bmc = against_wattmetre.compare(read._replace(bmc=read.bmc.filter(early)))
    assert of_run(no_bmc, 0, "bmc")["ratio"] == pytest.approx(0.9)
    assert of_run(no_bmc, 1, "bmc")["reason"] == against_wattmetre.NOT_MEASURED
    assert of_run(no_bmc, 1, "bmc")["energy_kwh"] is None
    none = against_wattmetre.compare(read._replace(wattmetre=read.wattmetre.filter(early)))
    reference = of_run(none, 1, "wattmetre")
    assert (reference["energy_kwh"], reference["reason"]) == (None, against_wattmetre.NOT_MEASURED)
    bmc = of_run(none, 1, "bmc")
    assert bmc["energy_kwh"] == pytest.approx(0.027)
    assert (bmc["ratio"], bmc["reason"]) == (None, against_wattmetre.NO_REFERENCE)


def test_runs_at_the_same_time_count_whole(read: Recordings) -> None:
    twice = read.runs.with_columns(pl.col("run_id") + 1000)
    found = against_wattmetre.compare(read._replace(runs=pl.concat([read.runs, twice])))
    assert found.filter(pl.col("method") == "bmc")["ratio"].to_list() == pytest.approx([0.9] * 20)


def test_the_summary(compared: pl.DataFrame) -> None:
    found = against_wattmetre.summary(compared)
    assert found["kind"].unique(maintain_order=True).to_list() == ["meter", "tool", "estimator"]
    rows = {row["method"]: row for row in found.iter_rows(named=True)}
    assert list(rows)[:2] == ["bmc", "wattmetre"]
    assert list(rows)[-1] == "green_algorithms@3.0"
    assert list(rows).index("wattwatcher") < list(rows).index("green_algorithms_any@3.0")
    codecarbon = rows["codecarbon"]
    assert (codecarbon["n_runs"], codecarbon["n_set_aside"]) == (1, 4)
    assert codecarbon["power_w"] == pytest.approx(300)
    assert codecarbon["ratio_sd"] is None
    assert (codecarbon["ratio_p50_mg"], codecarbon["ratio_p50_ep"]) == (pytest.approx(0.3), None)
    tracker = [0.001 / (0.01 * 36.25 / 36), 0.041 / 1.59 / 0.01]
    assert rows["carbontracker"]["ratio_p50"] == pytest.approx(sum(tracker) / 2)
    assert rows["carbontracker"]["ratio_p05"] == pytest.approx(tracker[0] * 0.95 + tracker[1] / 20)
    assert rows["wattwatcher"]["ratio_p50"] is None


def test_no_run_at_all(read: Recordings) -> None:
    found = against_wattmetre.compare(read._replace(runs=read.runs.clear()))
    assert found.is_empty()
    summary = against_wattmetre.summary(found)
    assert summary.is_empty()
    table = validation_table.validation_table(summary)
    assert report_tables.csv(table, provenance="p").startswith("group,Method,Runs,Set aside,")
    drawn = figure.plot(found, provenance="p")
    assert "The recordings hold no run" in " ".join(words(drawn))


def words(drawn: Figure) -> list[str]:
    return [each.get_text().replace("\n", " ") for each in drawn.findobj(Text)]


def test_the_figure_says_what_it_shows(compared: pl.DataFrame) -> None:
    known = compared.filter(~pl.col("run_id").is_in([1_000_007]))
    drawn = figure.plot(known, provenance="where it comes from")
    texts = words(drawn)
    message = (
        "On 9 runs of an 8-GPU node at idle and on CPU work, BMC reads 0.90 of the wattmetre, "
        "software tools 0.099 to 0.30 and models of the hardware 2.3 to 2.9"
    )
    assert message in texts
    assert {"where it comes from", "ga4hpc, green_algorithms", "idle", "0.90"} <= set(texts)
    assert "wattwatcher" not in texts


def test_ratios_below_the_axis_are_said(compared: pl.DataFrame) -> None:
    tiny = pl.when(pl.col("method") == "energyscope").then(7.2e-4).otherwise("ratio")
    drawn = figure.plot(compared.with_columns(ratio=tiny), provenance="p")
    assert "1 at 0.0007" in words(drawn)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (["bmc"], "BMC reads 0.90 of the wattmetre"),
        (["codecarbon"], "software tools 0.30 of the wattmetre"),
        (["wattmetre"], "there is no method beside the wattmetre"),
        (
            ["bmc", "mlco2@025b988"],
            "BMC reads 0.90 of the wattmetre and models of the hardware 2.4",
        ),
    ],
)
def test_the_message_of_some_methods(compared: pl.DataFrame, kept: list[str], message: str) -> None:
    some = against_wattmetre.summary(compared.filter(pl.col("method").is_in(kept)))
    setting = "of an 8-GPU node at idle and on CPU work"
    runs = 1 if kept == ["codecarbon"] else 10
    assert figure.message(some) == f"On {runs} runs {setting}, {message}"


def test_no_text_of_the_figure_is_cut_or_overlaps(compared: pl.DataFrame) -> None:
    drawn = figure.plot(compared, provenance="p")
    style.settle(drawn)
    renderer = FigureCanvasAgg(drawn).get_renderer()
    boxes = [
        each.get_window_extent(renderer)
        for each in drawn.findobj(Text)
        if each.get_text().strip() and each.get_visible()
    ]
    whole = drawn.bbox.padded(1)
    assert all(whole.x0 <= box.x0 and box.x1 <= whole.x1 for box in boxes)
    for number, box in enumerate(boxes):
        for other in boxes[number + 1 :]:
            assert not box.padded(-1).overlaps(other.padded(-1))


def test_the_scripts(folder: Path, tmp_path: Path, run: Callable[..., str]) -> None:
    runs = tmp_path / "runs.parquet"
    log = run(
        "compare_recordings",
        input={"files": [str(path) for path in recordings.files(folder)], "folder": []},
        output={"runs": runs},
        params={"directory": str(folder), "estimators": "all"},
    )
    assert log.startswith("10 runs, ")
    assert "1000009,wattwatcher,not a tool that is known here" in log
    found = pl.read_parquet(runs)
    assert found.columns == tables.ValidationRuns.column_names()
    drawn = {form: tmp_path / f"validation.{form}" for form in ("svg", "pdf", "png")}
    params = {"provenance": "gemini-1"}
    run("plot_validation", input={"runs": str(runs)}, output=drawn, params=params)
    assert all(path.stat().st_size > 10_000 for path in drawn.values())
    written = {form: tmp_path / f"validation.{form}" for form in ("html", "csv", "tex")}
    run("tabulate_validation", input={"runs": str(runs)}, output=written, params=params)
    table = pl.read_csv(written["csv"])
    assert table["Method"].to_list()[:2] == ["bmc", "wattmetre"]
    assert table["Median (×)"][0] == pytest.approx(0.9)
    assert table["group"][0] == "Meters"
    assert "Set aside" in written["html"].read_text()
    assert r"\label{tab:validation}" in written["tex"].read_text()


def test_fetched_recordings_are_read_from_their_folder(
    tmp_path: Path, run: Callable[..., str]
) -> None:
    log = run(
        "compare_recordings",
        input={"files": [], "folder": str(checkout(tmp_path / "fetched"))},
        output={"runs": tmp_path / "runs.parquet"},
        params={"directory": None, "estimators": ["mlco2"]},
    )
    assert log.startswith("10 runs, 8 methods; set aside:")


@pytest.fixture(scope="module")
def real(shared_data: Path) -> pl.DataFrame:
    """Summary of the recordings themselves."""
    read = recordings.read(shared_data / "gemini-2022-11")
    return against_wattmetre.summary(against_wattmetre.compare(read))


def test_the_real_recordings(real: pl.DataFrame) -> None:
    medians = dict(real.select("method", "ratio_p50").iter_rows())
    assert medians["bmc"] == pytest.approx(0.89, abs=0.01)
    assert medians["carbontracker"] == pytest.approx(0.141, abs=0.005)
    assert medians["codecarbon"] == pytest.approx(0.293, abs=0.005)
    assert medians["energyscope"] == pytest.approx(0.168, abs=0.005)
    assert medians["experiment_impact_tracker"] == pytest.approx(0.122, abs=0.005)
    assert medians["mlco2@025b988"] == pytest.approx(1.94, abs=0.01)
    assert real.filter(pl.col("n_set_aside") > 0).select(
        "method", "n_runs", "n_set_aside"
    ).rows() == [("codecarbon", 38, 2)]


def test_the_documented_methods_are_what_comes_out(real: pl.DataFrame) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for row in real.iter_rows(named=True):
        spread = f"{row['ratio_p05']:.3f} to {row['ratio_p95']:.3f}"
        idle, busiest = row["ratio_p50_idle"], row["ratio_p50_mg"]
        expected = (
            f"| `{row['method']}` | {row['n_runs']} | {row['power_w']:.0f} W "
            f"| **{row['ratio_p50']:.3f}** | {spread} | {idle:.3f} | {busiest:.3f} |"
        )
        assert expected in text
