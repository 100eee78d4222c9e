"""Every script of the paper stage, run as its rule runs it."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import paper_frames
import polars as pl
import pytest
from paper_frames import PROVENANCE, START
from snakemake.iocontainers import Namedlist

from footprint import privacy, report_tables, simulation_check, tables

WORKFLOW = Path(__file__).parents[1] / "workflow"
Run = Callable[..., str]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Parquet files of a made-up study, by name."""
    folder = tmp_path_factory.mktemp("results")
    study = paper_frames.study()
    people = sorted(set(study.job_energy["user"]))
    logins = {person: f"login{i}" for i, person in enumerate(people)}
    names = privacy.pseudonyms(logins.values(), key=privacy.PUBLIC_KEY)
    job_energy = study.job_energy.with_columns(
        pl.col("user").replace_strict({person: names[logins[person]] for person in people})
    )
    records = study.job_energy.select(
        "job_id",
        pl.col("user").replace_strict(logins),
        "started_at",
        pl.col("started_at").alias("submitted_at"),
        pl.col("started_at").alias("stopped_at"),
        *(pl.lit(None, pl.String).alias(name) for name in ("name", "command")),
        pl.lit(None, pl.Int64).alias("array_id"),
    )
    power, pieces = paper_frames.power_week()
    early = power.filter(pl.col("timestamp") < START + timedelta(days=4))
    late = power.filter(pl.col("timestamp") >= START + timedelta(days=3, hours=23))
    set_aside = pl.DataFrame(
        {"stage": ["jobs"], "source": ["a.json"], "reason": ["repeated"], "n_rows": [3]}
    ).with_columns(example=pl.lit(None, pl.String))
    frames = {
        "jobs": records,
        "job_energy": job_energy,
        "job_nodes": study.job_nodes,
        "node_energy": study.node_energy,
        "quality": study.quality,
        "check": study.check,
        "estimates": study.estimates,
        "set_aside": set_aside,
        "nodes": pl.DataFrame(
            {
                "node": ["gres-1", "graffiti-1", "gros-1", "grappe-1"],
                # the last by what Kwollect called the metric before
                "power_metrics": [[], ["bmc_node_power_watt"], None, ["bmc_power_node_watt"]],
            }
        ),
        "gates": pieces,
        "power_early": early,
        "power_late": late,
        "truth": study.job_nodes.select(
            "job_id", "node", true_kwh=pl.col("energy_kwh").fill_null(1.0) * 1.001
        ),
    }
    paths = {name: str(folder / f"{name}.parquet") for name in frames}
    for name, frame in frames.items():
        frame.write_parquet(paths[name])
    return paths


def build_levels(run: Run, results: dict[str, str], folder: Path, **levels: object) -> str:
    labels = folder / "labels.csv"
    labels.write_text("jobs,paper\n1 2 3 4 5 6 7 8,enhancement-2025\n999999,enhancement-2025\n")
    alone = pl.scan_parquet(results["jobs"]).select("job_id", run_id="job_id")
    single = alone.with_columns(merged_by=pl.lit("single"))
    tables.write(tables.RunOfJob, single, folder / "run_of_job.parquet")
    log = run(
        "match_labels",
        input={
            "jobs": results["jobs"],
            "run_of_job": str(folder / "run_of_job.parquet"),
            "labels": [str(labels)],
            "ledger": [],
        },
        output={name: folder / f"{name}.parquet" for name in ("papers", "labelled")},
        params={},
    )
    chosen = {"projects": "all", "users": ["login1"], "papers": "all", "redistribution": "energy"}
    return log + run(
        "build_levels",
        input={
            name: results[name] for name in ("job_energy", "job_nodes", "node_energy", "estimates")
        }
        | {"papers": str(folder / "papers.parquet")},
        output={"levels": folder / "levels.parquet"},
        params={
            "site": "nancy",
            "levels": chosen | levels,
            "privacy": {"key": None, "minimum_group": 3},
            "simulated": True,
        },
    )


def figure_paths(folder: Path) -> dict[str, Path]:
    return {form: folder / f"figure.{form}" for form in ("svg", "pdf", "png")}


def table_paths(folder: Path) -> dict[str, Path]:
    return {form: folder / f"table.{form}" for form in ("html", "csv", "tex")}


def assert_written(paths: Mapping[str, Path]) -> None:
    for form, path in paths.items():
        assert path.stat().st_size > 100, form


def test_levels_are_built(run: Run, results: dict[str, str], tmp_path: Path) -> None:
    log = build_levels(run, results, tmp_path)
    rows = pl.read_parquet(tmp_path / "levels.parquet")
    assert tables.Levels.is_valid(rows)
    assert set(rows["level"]) == {"site", "offset", "queue", "project", "user", "paper"}
    person = privacy.pseudonyms(["login1"], key=privacy.PUBLIC_KEY)["login1"]
    of_people = rows.filter(pl.col("level") == "user", pl.col("method") == "bmc")
    assert of_people["name"].to_list() == ["(others)", person]
    assert set(rows["method"]) == {"bmc", *paper_frames.ESTIMATORS}
    assert "labels.csv:3: this label matches no job of the study" in log
    assert not re.findall(r"login\d", log)


def test_levels_are_drawn_and_tabulated(run: Run, results: dict[str, str], tmp_path: Path) -> None:
    build_levels(run, results, tmp_path)
    params = {"provenance": PROVENANCE, "redistribution": "energy"}
    built = {"levels": str(tmp_path / "levels.parquet")}
    run("plot_levels", input=built, output=figure_paths(tmp_path), params=params)
    run("tabulate_levels", input=built, output=table_paths(tmp_path), params=params)
    assert_written(figure_paths(tmp_path) | table_paths(tmp_path))
    published = (tmp_path / "figure.svg").read_text() + (tmp_path / "table.html").read_text()
    assert not re.findall(r"login\d", published)


def test_energy_by_class(run: Run, results: dict[str, str], tmp_path: Path) -> None:
    wanted = {"node_energy": results["node_energy"]}
    params = {"provenance": PROVENANCE, "site": "nancy"}
    log = run("plot_energy_by_class", input=wanted, output=figure_paths(tmp_path), params=params)
    assert log == ""
    run("tabulate_energy_by_class", input=wanted, output=table_paths(tmp_path), params=params)
    assert_written(figure_paths(tmp_path) | table_paths(tmp_path))


@pytest.mark.parametrize("measured", [True, False])
def test_a_week(run: Run, results: dict[str, str], tmp_path: Path, measured: bool) -> None:
    node_energy = pl.read_parquet(results["node_energy"])
    only = node_energy.filter(
        pl.col("node") == ("graffiti-3" if measured else "grappe-1"),
        pl.col("day") < START.date() + timedelta(days=7),
    )
    only.write_parquet(tmp_path / "nodes.parquet")
    log = run(
        "plot_node_week",
        input={
            "node_energy": str(tmp_path / "nodes.parquet"),
            "gates": results["gates"],
            "power": [results["power_early"], results["power_late"]],
        },
        output=figure_paths(tmp_path),
        params={"max_gap_s": 90, "provenance": PROVENANCE},
    )
    assert ("graffiti-3" in log) is measured
    svg = (tmp_path / "figure.svg").read_text()
    assert ("8 jobs" in svg) is measured
    assert ("no node with power readings" in svg) is not measured
    assert_written(figure_paths(tmp_path))


def test_quality(run: Run, results: dict[str, str], tmp_path: Path) -> None:
    run(
        "tabulate_quality",
        input={name: results[name] for name in ("quality", "set_aside", "nodes")},
        output=table_paths(tmp_path),
        params={"provenance": PROVENANCE, "metric": "bmc_node_power_watt"},
    )
    assert_written(table_paths(tmp_path))
    assert "by default of gres-1: what they drew" in (tmp_path / "table.html").read_text()
    assert "jobs: repeated (3)" in " ".join((tmp_path / "table.tex").read_text().split())


def test_simulation_check(
    run: Run, results: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = {"graffiti": 36.0, "gros": 1.0, "grappe": 1.0}
    monkeypatch.setattr(simulation_check, "sensor_steps", lambda *_args, **_kwargs: steps)
    params = {"provenance": PROVENANCE, "site": "nancy", "source": {"kind": "simulated"}}
    wanted = {name: results[name] for name in ("check", "job_nodes", "truth")}
    wanted["jobs"] = results["job_energy"]
    run("plot_simulation_check", input=wanted, output=figure_paths(tmp_path), params=params)
    run("tabulate_simulation_check", input=wanted, output=table_paths(tmp_path), params=params)
    assert_written(figure_paths(tmp_path) | table_paths(tmp_path))
    assert "36\u2009W, " in (tmp_path / "figure.svg").read_text()


def test_a_table_goes_to_the_path_of_its_name(tmp_path: Path) -> None:
    table = report_tables.ReaderTable(
        name="t",
        title="T",
        note="N",
        rows=pl.DataFrame({"a": ["b"]}),
        columns=[report_tables.Column(name="a", header="A")],
    )
    paths = Namedlist(fromdict={f: str(tmp_path / f"t.{f}") for f in ("html", "csv", "tex")})
    report_tables.write(table, paths, provenance=PROVENANCE)
    assert (tmp_path / "t.csv").read_text() == f"A,Source\nb,{PROVENANCE}\n"
    assert (tmp_path / "t.tex").read_text().startswith(r"\begin{table}")


def test_every_rule_of_the_paper_has_its_script() -> None:
    rules = (WORKFLOW / "rules" / "paper.smk").read_text()
    names = re.findall(r"^rule (\w+):", rules, re.M)
    assert len(names) == 11
    for name in names:
        assert f'"../scripts/{name}.py"' in rules
        assert f'"<logs>/{name}.log"' in rules
        assert f'"<benchmarks>/{name}.jsonl"' in rules
        assert (WORKFLOW / "scripts" / f"{name}.py").is_file()


def test_every_caption_is_of_one_figure_or_table() -> None:
    rules = "".join(path.read_text() for path in (WORKFLOW / "rules").glob("*.smk"))
    captions = re.findall(r'caption="\.\./report/(\w+\.rst)"', rules)
    assert len(captions) == len(set(captions)) >= 13
    written = {path.name for path in (WORKFLOW / "report").glob("*.rst")}
    assert written == {*captions, "workflow.rst"}
