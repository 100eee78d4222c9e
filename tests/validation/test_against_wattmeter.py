"""All methods against a wattmeter: recordings in both layouts, ratios by hand, real ratios."""

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

from footprint.config import settings, study
from footprint.core.errors import InputError
from footprint.report.figures import style
from footprint.report.figures import validation as figure
from footprint.report.tables import formats, validation
from footprint.schemas.validation import ValidationRuns
from footprint.validation import against_wattmeter, recordings
from footprint.validation.recordings import BMC_METRIC, WATTMETER_METRIC, Recordings

DOCUMENT = Path(__file__).parents[2] / "docs" / "validation-gemini.md"
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


def run_rows() -> list[dict[str, Any]]:
    """Runs with ids and bounds in seconds since 1970."""
    start = START.timestamp() + 0.4
    found = []
    for number, each in enumerate(RUNS):
        found.append(each | {"uid": 1_000_000 + number, "start": start, "stop": start + each["s"]})
        start += each["s"] + 60
    return found


def power_samples() -> list[tuple[str, str, float]]:
    """Time, metric and power of readings, from before the first run until after the last."""
    seconds = int(sum(each["s"] + 60 for each in RUNS))
    every = {BMC_METRIC: (5, BMC_W), WATTMETER_METRIC: (1, WATTMETRE_W)}
    paris = "+01:00"
    return [
        ((START + timedelta(hours=1, seconds=second)).strftime("%FT%T") + paris, metric, power_w)
        for metric, (period_s, power_w) in every.items()
        for second in range(-5, seconds, period_s)
    ]


def write_exports(folder: Path) -> Path:
    """Write the recordings as `runs.csv` and answers of Kwollect."""
    (folder / "power").mkdir(parents=True)
    names = ["uid", "exp_id", *recordings.RUN_COLUMNS.values()]
    with (folder / "runs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for row in run_rows():
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
    for metric in (BMC_METRIC, WATTMETER_METRIC):
        lines = [
            {"timestamp": at, "device_id": device, "metric_id": metric, "value": power_w}
            for at, name, power_w in power_samples()
            for device in ("gemini-1", "gemini-2.lyon.grid5000.fr")[
                : 2 if metric == BMC_METRIC else 1
            ]
            if name == metric
        ]
        text = "\n".join(json.dumps(line) for line in lines)
        (folder / "power" / f"{metric}.jsonl").write_text(text)
    return folder


def write_checkout(folder: Path) -> Path:
    """Write the recordings as in the authors' repository: multi-line fields, one meter per row."""
    (folder / recordings.AUTHORS_FOLDER).mkdir(parents=True)
    names = ["tool_components", "host_name", "error", *recordings.AUTHORS_COLUMNS.values()]
    with (folder / recordings.AUTHORS_RUNS_FILE).open("w", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for row in run_rows():
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
        f"{at},{power_w},0.0," if metric == WATTMETER_METRIC else f"{at},,0.0,{power_w}"
        for at, metric, power_w in power_samples()
    ]
    header = f"timestamp,{WATTMETER_METRIC},timestamp_sec,{BMC_METRIC}"
    # requests for neighbouring runs overlap
    (folder / recordings.AUTHORS_POWER_FILE).write_text(
        "\n".join([header, *lines, *lines[-9:], ""])
    )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_exports(tmp_path_factory.mktemp("exports") / "gemini")


@pytest.fixture(scope="module")
def recorded(folder: Path) -> Recordings:
    return recordings.read_recordings(folder)


@pytest.fixture(scope="module")
def compared(recorded: Recordings) -> pl.DataFrame:
    return against_wattmeter.compare_methods(recorded)


def test_recordings_of_both_layouts_are_equal(recorded: Recordings, tmp_path: Path) -> None:
    other = recordings.read_recordings(write_checkout(tmp_path / "repository"))
    for mine, theirs in zip(recorded, other, strict=True):
        assert_frame_equal(mine, theirs)
    assert recorded.runs["run_id"].to_list() == [row["uid"] for row in run_rows()]
    assert recorded.runs["started_at"][0] == START + timedelta(seconds=0.4)
    assert recorded.bmc["power_w"].unique().to_list() == [BMC_W]
    assert recorded.wattmeter["timestamp"][0] == START - timedelta(seconds=5)


def test_recording_files_of_each_layout(folder: Path, tmp_path: Path) -> None:
    names = [path.relative_to(folder).as_posix() for path in recordings.recording_files(folder)]
    assert names == ["runs.csv", f"power/{BMC_METRIC}.jsonl", f"power/{WATTMETER_METRIC}.jsonl"]
    other = write_checkout(tmp_path)
    assert recordings.recording_files(other) == [
        other / recordings.AUTHORS_RUNS_FILE,
        other / recordings.AUTHORS_POWER_FILE,
    ]
    assert recordings.recording_files(tmp_path / "nothing") == []


def test_study_plan_lists_recordings_and_provenance(folder: Path) -> None:
    raw = {"study": {"site": "nancy", "start": "2025-03-03", "end": "2025-03-04"}}
    fetched = study.plan_study(settings.prepare_configuration(raw))
    assert fetched.recordings == []
    assert re.fullmatch(
        r"gemini-1, Lyon, 7 and 8 November 2022 · Jay et al., CCGrid 2023 · footprint [\d.]+",
        fetched.recordings_provenance,
    )
    given = study.plan_study(
        settings.prepare_configuration(raw | {"validation": {"directory": str(folder)}})
    )
    assert given.recordings == [str(path) for path in recordings.recording_files(folder)]


@pytest.mark.parametrize("fault", ["nothing", "no power", "no metrics"])
def test_recordings_of_folder_with_neither_layout_raise(fault: str, tmp_path: Path) -> None:
    if fault == "no power":
        (tmp_path / "runs.csv").write_text("uid\n")
    if fault == "no metrics":
        (write_checkout(tmp_path) / recordings.AUTHORS_POWER_FILE).unlink()
    with pytest.raises(InputError) as error:
        recordings.read_recordings(tmp_path)
    assert str(error.value).startswith(
        f"validation.directory: {tmp_path} contains neither runs.csv "
    )
    assert "processed_table.csv with g5k_metrics.csv; set a folder of " in str(error.value)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("runs.csv", "application", "what", "runs.csv: has no column 'application'"),
        ("runs.csv", "1000003,", "1000002,", "runs.csv: run 1000002 occurs twice"),
        ("runs.csv", "1000001,", "one,", "runs.csv: run 2 has no number, no application, or no st"),
        ("runs.csv", f",{START.timestamp() + 0.4},", ",,", "runs.csv: run 1 has no number"),
        (
            f"power/{BMC_METRIC}.jsonl",
            "gemini-1",
            "gemini-9",
            f"power: no reading of {BMC_METRIC} of gemini-1",
        ),
        (
            f"power/{BMC_METRIC}.jsonl",
            '"value": 900.0',
            '"value": "?"',
            f"{BMC_METRIC}.jsonl:1: the value '?'",
        ),
        (
            recordings.AUTHORS_RUNS_FILE,
            "tool_name",
            "name",
            "processed_table.csv: has no column 'tool_name'",
        ),
        (
            recordings.AUTHORS_POWER_FILE,
            "2022-11-07T",
            "7/11 ",
            "metrics.csv: '7/11 23:57:55+01:00' is not a time",
        ),
    ],
)
def test_recordings_with_bad_file_raise(
    name: str, old: str, new: str, message: str, tmp_path: Path
) -> None:
    path = (write_checkout if "GPU" in name else write_exports)(tmp_path / "faulty") / name
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=re.escape(message)):
        recordings.read_recordings(tmp_path / "faulty")


def test_recordings_with_empty_table_raise(tmp_path: Path) -> None:
    (write_exports(tmp_path / "empty") / "runs.csv").write_text("")
    with pytest.raises(InputError, match=r"runs\.csv: cannot be read as CSV"):
        recordings.read_recordings(tmp_path / "empty")


def comparison_row(compared: pl.DataFrame, run: int, method: str) -> dict[str, Any]:
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
        ("codecarbon_2@2.8.4", (8 * 300 + 85 / 2 + 503.77 * 3 / 8) / 1000),
    ],
)
def test_ratios_of_meters_and_estimators_at_constant_power(
    compared: pl.DataFrame, method: str, ratio: float
) -> None:
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
def test_ratios_of_tools_exclude_their_pue(
    compared: pl.DataFrame, run: int, method: str, ratio: float
) -> None:
    row = comparison_row(compared, run, method)
    assert row["ratio"] == pytest.approx(ratio, rel=1e-9)
    assert (row["kind"], row["reason"]) == ("tool", None)


@pytest.mark.parametrize(
    ("run", "method", "reason"),
    [
        (4, "codecarbon", against_wattmeter.NEGATIVE_REASON),
        (5, "codecarbon", against_wattmeter.NEGATIVE_REASON),
        (6, "codecarbon", against_wattmeter.EXCESSIVE_POWER_REASON),
        (8, "codecarbon", against_wattmeter.NOT_RECORDED_REASON),
        (9, "wattwatcher", against_wattmeter.UNKNOWN_TOOL_REASON),
    ],
)
def test_unusable_tool_energies_have_a_reason(
    compared: pl.DataFrame, run: int, method: str, reason: str
) -> None:
    row = comparison_row(compared, run, method)
    assert (row["energy_kwh"], row["ratio"], row["reason"]) == (None, None, reason)
    assert row["wattmeter_kwh"] == pytest.approx(0.01)


def test_comparison_has_one_tool_per_run_and_no_estimator_with_pue(compared: pl.DataFrame) -> None:
    tool = compared.filter(pl.col("kind") == "tool")
    assert tool["run_id"].to_list() == [row["uid"] for row in run_rows()]
    methods = set(compared["method"].str.split("@").list.first())
    assert not {"recorded", "green_algorithms_pue_2", "green_algorithms_pue_3"} & methods


def test_comparison_with_chosen_estimators_has_no_others(recorded: Recordings) -> None:
    wanted = ["mlco2", "recorded", "green_algorithms_pue_2"]
    found = against_wattmeter.compare_methods(recorded, estimators=wanted)
    ours = found.filter(pl.col("kind") == "estimator")
    assert ours["method"].unique().to_list() == ["mlco2@025b988"]
    with pytest.raises(InputError, match="there is no estimator `mlco`"):
        against_wattmeter.compare_methods(recorded, estimators=["mlco"])


def test_runs_without_meter_samples_have_a_reason(recorded: Recordings) -> None:
    cut = recorded.runs["started_at"][1] + timedelta(seconds=20)
    early = pl.col("timestamp") < cut
    no_bmc = against_wattmeter.compare_methods(recorded._replace(bmc=recorded.bmc.filter(early)))
    assert comparison_row(no_bmc, 0, "bmc")["ratio"] == pytest.approx(0.9)
    assert comparison_row(no_bmc, 1, "bmc")["reason"] == against_wattmeter.NOT_MEASURED_REASON
    assert comparison_row(no_bmc, 1, "bmc")["energy_kwh"] is None
    none = against_wattmeter.compare_methods(
        recorded._replace(wattmeter=recorded.wattmeter.filter(early))
    )
    reference = comparison_row(none, 1, "wattmetre")
    assert (reference["energy_kwh"], reference["reason"]) == (
        None,
        against_wattmeter.NOT_MEASURED_REASON,
    )
    bmc = comparison_row(none, 1, "bmc")
    assert bmc["energy_kwh"] == pytest.approx(0.027)
    assert (bmc["ratio"], bmc["reason"]) == (None, against_wattmeter.NO_REFERENCE_REASON)


def test_overlapping_runs_each_have_the_whole_energy(recorded: Recordings) -> None:
    twice = recorded.runs.with_columns(pl.col("run_id") + 1000)
    found = against_wattmeter.compare_methods(
        recorded._replace(runs=pl.concat([recorded.runs, twice]))
    )
    assert found.filter(pl.col("method") == "bmc")["ratio"].to_list() == pytest.approx([0.9] * 20)


def test_summary_gives_quantiles_and_counts_by_method(compared: pl.DataFrame) -> None:
    found = against_wattmeter.summarise_methods(compared)
    assert found["kind"].unique(maintain_order=True).to_list() == ["meter", "tool", "estimator"]
    rows = {row["method"]: row for row in found.iter_rows(named=True)}
    assert list(rows)[:2] == ["bmc", "wattmetre"]
    assert list(rows)[-1] == "green_algorithms@3.0"
    assert list(rows).index("wattwatcher") < list(rows).index("green_algorithms_any@3.0")
    codecarbon = rows["codecarbon"]
    assert (codecarbon["n_runs"], codecarbon["n_rejected"]) == (1, 4)
    assert codecarbon["power_w"] == pytest.approx(300)
    assert codecarbon["ratio_sd"] is None
    assert (codecarbon["ratio_p50_mg"], codecarbon["ratio_p50_ep"]) == (pytest.approx(0.3), None)
    tracker = [0.001 / (0.01 * 36.25 / 36), 0.041 / 1.59 / 0.01]
    assert rows["carbontracker"]["ratio_p50"] == pytest.approx(sum(tracker) / 2)
    assert rows["carbontracker"]["ratio_p05"] == pytest.approx(tracker[0] * 0.95 + tracker[1] / 20)
    assert rows["wattwatcher"]["ratio_p50"] is None


def test_summary_table_and_figure_without_runs_are_empty(recorded: Recordings) -> None:
    found = against_wattmeter.compare_methods(recorded._replace(runs=recorded.runs.clear()))
    assert found.is_empty()
    assert against_wattmeter.summarise_methods(found).is_empty()
    table = validation.validation_table(found)
    assert formats.table_csv(table, provenance="p").startswith("group,Method,Runs,Rejected,")
    drawn = figure.plot(found, provenance="p")
    assert "The recordings hold no run" in " ".join(words(drawn))


def words(drawn: Figure) -> list[str]:
    texts = (each.get_text() for each in drawn.findobj(Text))
    return [text.replace("\n", " ").replace("\u00a0", " ") for text in texts]


def test_figure_title_gives_the_ratios(compared: pl.DataFrame) -> None:
    known = compared.filter(~pl.col("run_id").is_in([1_000_007]))
    drawn = figure.plot(known, provenance="where it comes from")
    texts = words(drawn)
    message = (
        "On 9 runs of an 8-GPU node at idle and on CPU work, BMC reads 0.90 of the wattmeter, "
        "software tools 0.099 to 0.30 and models of the hardware 2.3 to 2.9"
    )
    assert message in texts
    assert {"where it comes from", "ga4hpc, green_algorithms", "idle", "0.90"} <= set(texts)
    assert "wattwatcher" not in texts


def test_figure_notes_ratios_below_the_axis(compared: pl.DataFrame) -> None:
    tiny = pl.when(pl.col("method") == "energyscope").then(7.2e-4).otherwise("ratio")
    drawn = figure.plot(compared.with_columns(ratio=tiny), provenance="p")
    assert "1 at 0.0007" in words(drawn)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (["bmc"], "BMC reads 0.90 of the wattmeter"),
        (["codecarbon"], "software tools 0.30 of the wattmeter"),
        (["wattmetre"], "there is no method but the wattmeter"),
        (
            ["bmc", "mlco2@025b988"],
            "BMC reads 0.90 of the wattmeter and models of the hardware 2.4",
        ),
    ],
)
def test_figure_title_with_some_methods_names_these(
    compared: pl.DataFrame, kept: list[str], message: str
) -> None:
    some = against_wattmeter.summarise_methods(compared.filter(pl.col("method").is_in(kept)))
    setting = "of an 8-GPU node at idle and on CPU work"
    runs = 1 if kept == ["codecarbon"] else 10
    assert figure.figure_title(some) == f"On {runs} runs {setting}, {message}"


def test_figure_texts_are_whole_and_do_not_overlap(compared: pl.DataFrame) -> None:
    drawn = figure.plot(compared, provenance="p")
    style.fix_layout(drawn)
    drawn.draw_without_rendering()
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


def test_scripts_write_runs_figure_and_table(
    folder: Path, tmp_path: Path, run: Callable[..., str]
) -> None:
    runs = tmp_path / "runs.parquet"
    log = run(
        "compare_recordings",
        input={"files": [str(path) for path in recordings.recording_files(folder)], "folder": []},
        output={"runs": runs},
        params={"directory": str(folder), "estimators": "all"},
    )
    assert log.startswith("10 runs, ")
    assert "1000009,wattwatcher,not a tool that is known here" in log
    found = pl.read_parquet(runs)
    assert found.columns == ValidationRuns.column_names()
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
    assert "Rejected" in written["html"].read_text()
    assert r"\label{tab:validation}" in written["tex"].read_text()


def test_script_reads_downloaded_recordings_from_their_folder(
    tmp_path: Path, run: Callable[..., str]
) -> None:
    log = run(
        "compare_recordings",
        input={"files": [], "folder": str(write_checkout(tmp_path / "fetched"))},
        output={"runs": tmp_path / "runs.parquet"},
        params={"directory": None, "estimators": ["mlco2"]},
    )
    assert log.startswith("10 runs, 8 methods; rejected:")


@pytest.fixture(scope="module")
def real(shared_data: Path) -> pl.DataFrame:
    """Summary of the real recordings."""
    recorded = recordings.read_recordings(shared_data / "gemini-2022-11")
    return against_wattmeter.summarise_methods(against_wattmeter.compare_methods(recorded))


def test_real_recordings_give_the_published_ratios(real: pl.DataFrame) -> None:
    medians = dict(real.select("method", "ratio_p50").iter_rows())
    assert medians["bmc"] == pytest.approx(0.89, abs=0.01)
    assert medians["carbontracker"] == pytest.approx(0.141, abs=0.005)
    assert medians["codecarbon"] == pytest.approx(0.293, abs=0.005)
    assert medians["energyscope"] == pytest.approx(0.168, abs=0.005)
    assert medians["experiment_impact_tracker"] == pytest.approx(0.122, abs=0.005)
    assert medians["mlco2@025b988"] == pytest.approx(1.94, abs=0.01)
    assert real.filter(pl.col("n_rejected") > 0).select(
        "method", "n_runs", "n_rejected"
    ).rows() == [("codecarbon", 38, 2)]


def test_documented_ratios_match_the_real_recordings(real: pl.DataFrame) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for row in real.iter_rows(named=True):
        spread = f"{row['ratio_p05']:.3f} to {row['ratio_p95']:.3f}"
        idle, busiest = row["ratio_p50_idle"], row["ratio_p50_mg"]
        expected = (
            f"| `{row['method']}` | {row['n_runs']} | {row['power_w']:.0f} W "
            f"| **{row['ratio_p50']:.3f}** | {spread} | {idle:.3f} | {busiest:.3f} |"
        )
        assert expected in text
