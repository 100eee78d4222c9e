"""Tests of the rules: boundaries of each rule, order, fallbacks and variants."""

import json
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from footprint.core.errors import InputError
from footprint.core.vocabulary import KINDS
from footprint.phases import classifier
from footprint.phases.classifier import RULES, Thresholds
from footprint.phases.features import ENDED_TYPE, FEATURE_DESCRIPTIONS
from footprint.schemas.phases import N_POWER_BINS

pytestmark = pytest.mark.filterwarnings("error")

HISTOGRAM_TYPE = pl.List(pl.Float32)
FEATURE_TYPES = {
    "ended": ENDED_TYPE,
    "node_histogram_s": HISTOGRAM_TYPE,
    "gpu_histogram_s": HISTOGRAM_TYPE,
    "started_at": pl.Datetime("us", "UTC"),
    "stopped_at": pl.Datetime("us", "UTC"),
    **dict.fromkeys(["interactive", "container", "besteffort", "prompt"], pl.Boolean),
    **dict.fromkeys(["waiting", "endless", "resubmitted", "submitted_weekend"], pl.Boolean),
    **dict.fromkeys(["command_work", "name_work", "end_basis", "histogram_basis"], pl.String),
    "merged_by": pl.String,
    **dict.fromkeys(["run_id", "n_jobs", "n_nodes", "walltime_s", "array_size"], pl.Int64),
    **dict.fromkeys(["batch_size", "training_walltime_s"], pl.Int64),
    **dict.fromkeys(["step", "training_step"], pl.Int32),
}
SCHEMA = {name: FEATURE_TYPES.get(name, pl.Float64()) for name in FEATURE_DESCRIPTIONS}
HOUR = 3600.0

# A job of half an hour on one GPU of four, to which no rule but `none` applies.
PLAIN: dict[str, Any] = {
    **dict.fromkeys(FEATURE_DESCRIPTIONS),
    **{"run_id": 1, "n_jobs": 1, "merged_by": "single", "n_nodes": 1, "node_share": 0.25},
    **{"duration_s": HOUR / 2, "ran_s": HOUR / 2, "gpus": 1.0, "gpu_hours": 0.5},
    **{"interactive": False, "container": False, "besteffort": False, "prompt": False},
    **{"waiting": False, "endless": False, "resubmitted": False},
    **{"ended": "completed", "end_basis": "events", "array_size": 1, "batch_size": 1},
}


def histogram(**bins: float) -> list[float]:
    """Power histogram with seconds by bin: `s0=80` are 80 s in the first of forty bins."""
    seconds = [0.0] * N_POWER_BINS
    for name, value in bins.items():
        seconds[int(name[1:])] = float(value)
    return seconds


def features_frame(*rows: dict[str, Any]) -> pl.LazyFrame:
    """Features of runs numbered from 1: `PLAIN`, with the given changes."""
    filled = [{**PLAIN, **row, "run_id": run_id} for run_id, row in enumerate(rows, 1)]
    return pl.LazyFrame(filled, schema=SCHEMA)


def rule_for(thresholds: Thresholds | None = None, **row: Any) -> str:
    """Name of the rule that classifies a run with these features."""
    classified = classifier.classify_runs(features_frame(row), thresholds or Thresholds())
    return str(classified.collect()["rule"].item())


IDLE_GPU = {
    "histogram_basis": "gpu",
    "gpu_histogram_s": histogram(s0=100),
    "node_histogram_s": histogram(s20=100),
}
IDLE_NODE = {
    "node_share": 1.0,
    "histogram_basis": "node",
    "node_histogram_s": histogram(s0=81, s20=19),
}
STEADY = {
    "histogram_basis": "gpu",
    "gpu_histogram_s": histogram(s20=100),
    "spread": 0.05,
    "burst_frac": 0.0,
}
DAY, LONG = {"walltime_s": 24 * 3600}, {"walltime_s": 24 * 3600 + 1}


def test_classify_runs_of_plain_run_returns_unknown() -> None:
    classified = (
        classifier.classify_runs(features_frame({}), Thresholds()).collect().row(0, named=True)
    )
    assert (classified["kind"], classified["rule"], classified["features"]) == (
        "unknown",
        "none",
        "{}",
    )
    assert classified["confidence"] == 0.0


def test_classify_runs_of_run_that_never_started_returns_no_kind() -> None:
    classified = classifier.classify_runs(
        features_frame({"n_jobs": 0, "interactive": True}), Thresholds()
    ).collect()
    assert classified.select("kind", "rule").row(0) == (None, "never_ran")


def test_rule_prompt_without_job_type_uses_command() -> None:
    assert rule_for(interactive=True) == "prompt"
    assert rule_for(interactive=None, prompt=True) == "prompt"
    assert rule_for(interactive=None) == "none"
    # other features do not count
    assert rule_for(interactive=True, command_work="training", **LONG, ran_s=HOUR) == "prompt"


def test_rules_of_waits_return_hold_when_endless_or_long_and_not_busy() -> None:
    wait = {"waiting": True}
    assert rule_for(**wait) == "session"
    assert rule_for(**wait, endless=True) == "kept"
    assert rule_for(**wait, ran_s=12 * HOUR) == "kept"
    assert rule_for(**wait, ran_s=12 * HOUR - 1) == "session"
    busy = histogram(s0=80, s20=20)
    own = {"histogram_basis": "gpu", "gpu_histogram_s": busy}
    # idle for exactly 80 % is busy
    assert rule_for(**wait, endless=True, **own) == "session"
    assert rule_for(**wait, endless=True, **IDLE_GPU) == "kept"


def test_rules_of_waits_on_shared_node_ignore_node_power() -> None:
    shared = {"histogram_basis": "node", "node_histogram_s": histogram(s20=100), "node_share": 0.5}
    assert rule_for(waiting=True, endless=True, **shared) == "kept"
    assert rule_for(waiting=True, endless=True, **{**shared, "node_share": 1.0}) == "session"


def test_rule_attempt_applies_to_short_uncompleted_resubmissions() -> None:
    attempt = {"resubmitted": True, "array_size": 2}
    assert rule_for(**attempt, ended="failed", ran_s=HOUR - 1) == "attempt"
    assert rule_for(**attempt, ended="failed", ran_s=HOUR) == "none"
    assert rule_for(**attempt, ended="completed") == "none"


def test_rule_short_excludes_arrays_and_completed_decodings() -> None:
    assert rule_for(ran_s=599.0) == "short"
    assert rule_for(ran_s=600.0) == "none"
    assert rule_for(ran_s=599.0, array_size=2) == "none"
    assert rule_for(ran_s=599.0, command_work="inference") == "decodes"
    assert rule_for(ran_s=599.0, command_work="inference", ended="failed") == "short"
    steps = {"step": 6, "training_step": 4, "training_walltime_s": 7 * 86400}
    assert rule_for(ran_s=599.0, **steps) == "step_decodes"
    # a training that completes within minutes is an attempt
    assert rule_for(ran_s=599.0, command_work="training") == "short"


def test_rules_without_array_ids_use_batches() -> None:
    assert rule_for(ran_s=599.0, array_size=None) == "short"
    assert rule_for(ran_s=599.0, array_size=None, batch_size=2) == "none"
    assert rule_for(array_size=None, batch_size=3) == "sweep"


def test_rule_failed_applies_below_half_an_hour() -> None:
    for ended in ("failed", "cancelled"):
        assert rule_for(ended=ended, ran_s=1799.0) == "failed"
        assert rule_for(ended=ended, ran_s=1800.0) == "none"
    for ended in ("completed", "walltime", "killed", "running"):
        assert rule_for(ended=ended, ran_s=1799.0) == "none"
    assert rule_for(ended="failed", ran_s=1799.0, array_size=2) == "none"


def test_rule_idle_applies_to_idle_gpus_from_an_hour() -> None:
    hour = {"ran_s": HOUR}
    assert rule_for(**hour, **IDLE_GPU) == "idle"
    assert rule_for(**hour, **IDLE_NODE) == "idle"
    assert rule_for(ran_s=HOUR - 1, **IDLE_GPU) == "none"
    assert rule_for(**hour, **{**IDLE_NODE, "node_histogram_s": histogram(s0=80, s20=20)}) != "idle"
    assert rule_for(**hour, **IDLE_GPU, array_size=2) == "none"
    assert rule_for(**hour, **IDLE_GPU, command_work="training") == "trains"
    assert rule_for(**hour, **IDLE_GPU, gpus=0.98) == "processors"


def test_rule_idle_uses_a_tenth_of_node_and_a_twentieth_of_gpu_range() -> None:
    for step, is_idle in ((3, True), (4, False)):
        own = {**IDLE_NODE, "node_histogram_s": histogram(**{f"s{step}": 100})}
        assert (rule_for(ran_s=HOUR, **own) == "idle") is is_idle
    for step, is_idle in ((1, True), (2, False)):
        own = {**IDLE_GPU, "gpu_histogram_s": histogram(**{f"s{step}": 100})}
        assert (rule_for(ran_s=HOUR, **own) == "idle") is is_idle


def test_rules_of_preprocessing_use_words_gpus_held_and_idle_gpus_on_busy_node() -> None:
    assert rule_for(command_work="preprocessing") == "data_words"
    assert rule_for(gpus=0.0) == "processors"
    assert rule_for(gpus=0.98, command_work="training") == "processors"
    assert rule_for(gpus=0.99, command_work="training") == "trains"
    assert rule_for(**IDLE_GPU, ran_s=HOUR, **{"node_share": 1.0, "gpus": 4.0}) == "processors_only"
    # GPUs idle for exactly 80 % are busy
    busy_gpu = {**IDLE_GPU, "gpu_histogram_s": histogram(s0=80, s20=20), "node_share": 1.0}
    assert rule_for(**busy_gpu) == "none"


def test_rules_of_command_words_return_training_and_decoding() -> None:
    assert rule_for(command_work="training") == "trains"
    assert rule_for(command_work="inference") == "decodes"
    assert rule_for(command_work="inference", **LONG, ran_s=HOUR) == "decodes"


def test_rules_of_recipe_steps_compare_with_training_step_of_long_walltime() -> None:
    recipe = {"training_step": 4, "training_walltime_s": 24 * 3600 + 1}
    assert rule_for(step=4, **recipe) == "step_trains"
    assert rule_for(step=5, **recipe) == "step_decodes"
    assert rule_for(step=3, **recipe) == "step_prepares"
    assert rule_for(step=4, **{**recipe, "training_walltime_s": 24 * 3600}) == "none"
    assert rule_for(step=4) == "none"


def test_rules_resumed_and_asks_long_apply_from_an_hour() -> None:
    assert rule_for(merged_by="chain", n_jobs=2, ran_s=HOUR) == "resumed"
    assert rule_for(merged_by="chain", n_jobs=2, ran_s=HOUR - 1) == "none"
    assert rule_for(**LONG, ran_s=HOUR) == "asks_long"
    assert rule_for(**LONG, ran_s=HOUR - 1) == "none"
    assert rule_for(**DAY, ran_s=HOUR) == "none"
    assert rule_for(merged_by="array", ran_s=HOUR) == "none"


def test_rule_bursts_needs_own_gpus_or_whole_node() -> None:
    uneven = {"histogram_basis": "gpu", "burst_frac": 0.0021, "spread": 0.1, "ran_s": HOUR}
    assert rule_for(**uneven) == "bursts"
    assert rule_for(**{**uneven, "burst_frac": 0.002}) == "none"
    assert rule_for(**{**uneven, "spread": 0.099}) == "none"
    assert rule_for(**{**uneven, "ran_s": HOUR - 1}) == "none"
    assert rule_for(**{**uneven, "histogram_basis": "node"}) == "none"
    assert rule_for(**{**uneven, "histogram_basis": "node", "node_share": 1.0}) == "bursts"


def test_rule_sweep_applies_to_three_together_and_besteffort() -> None:
    assert rule_for(array_size=3) == "sweep"
    assert rule_for(array_size=2) == "none"
    assert rule_for(besteffort=True) == "sweep"


def test_rule_sequel_applies_to_small_runs_after_long_run() -> None:
    after = {"after_long_h": 168.0, "ran_s": 4 * HOUR - 1}
    assert rule_for(**after) == "sequel"
    assert rule_for(**{**after, "after_long_h": 168.1}) == "none"
    assert rule_for(**{**after, "ran_s": 4 * HOUR}) == "none"
    assert rule_for(**after, ended="failed") == "none"
    assert rule_for(**after, node_share=0.5) == "sequel"  # one GPU of two
    assert rule_for(**after, node_share=0.5, gpus=2.0) == "none"
    assert rule_for(**after, node_share=0.25, gpus=2.0) == "sequel"


def test_rule_asks_day_applies_from_four_hours_to_walltimes_of_a_day() -> None:
    assert rule_for(**DAY, ran_s=4 * HOUR) == "asks_day"
    assert rule_for(**DAY, ran_s=4 * HOUR - 1) == "none"
    assert rule_for(walltime_s=None, ran_s=4 * HOUR) == "none"


def test_rule_plateau_applies_without_walltime_from_an_hour() -> None:
    assert rule_for(**STEADY, ran_s=HOUR) == "plateau"
    assert rule_for(**STEADY, ran_s=HOUR - 1) == "none"
    most = {**STEADY, "gpu_histogram_s": histogram(s3=30, s4=70)}  # 70 % from 0.1 on
    assert rule_for(**most, ran_s=HOUR) == "plateau"
    assert rule_for(**{**most, "gpu_histogram_s": histogram(s3=31, s4=69)}, ran_s=HOUR) == "none"
    node = {"histogram_basis": "node", "node_histogram_s": histogram(s4=100)}
    assert rule_for(**node, ran_s=HOUR) == "plateau"


def test_rules_of_name_words_apply_last() -> None:
    assert rule_for(name_work="training") == "name_trains"
    assert rule_for(name_work="inference") == "name_decodes"
    assert rule_for(name_work="inference", command_work="training") == "trains"
    assert rule_for(name_work="training", **DAY, ran_s=4 * HOUR) == "asks_day"


# Features to which each rule applies, in the order of the rules.
FEATURES_OF_RULE: dict[str, dict[str, Any]] = {
    "prompt": {"interactive": True},
    "kept": {"waiting": True, "endless": True},
    "attempt": {"resubmitted": True, "ended": "failed"},
    "short": {"ran_s": 300.0},
    "failed": {"ended": "cancelled", "ran_s": 1000.0},
    "data_words": {"command_work": "preprocessing"},
    "processors": {"gpus": 0.0},
    "trains": {"command_work": "training"},
    "step_trains": {"step": 4, "training_step": 4, "training_walltime_s": 7 * 86400},
    "resumed": {"merged_by": "chain", "ran_s": 5 * HOUR},
    "asks_long": {"walltime_s": 7 * 86400, "ran_s": 5 * HOUR},
    "sweep": {"besteffort": True},
    "name_trains": {"name_work": "training"},
}


@pytest.mark.parametrize("later", range(1, len(FEATURES_OF_RULE)))
def test_classify_runs_with_two_matching_rules_uses_the_first(later: int) -> None:
    names = list(FEATURES_OF_RULE)
    both_apply: dict[str, Any] = {}
    for name in reversed(names[later - 1 : later + 1]):
        both_apply |= FEATURES_OF_RULE[name]
    order = [each.name for each in RULES]
    assert order.index(names[later - 1]) < order.index(names[later])
    assert rule_for(**both_apply) == names[later - 1]


def test_rules_have_unique_names_and_valid_kinds_and_features() -> None:
    assert len({each.name for each in RULES}) == len(RULES)
    derived = {"idle_frac", "plateau_frac"}
    for each in RULES:
        assert each.kind is None or each.kind in KINDS
        assert set(each.features) <= set(FEATURE_DESCRIPTIONS) | derived
        assert 0 <= each.confidence <= 1
        assert round(each.confidence * 20, 9) % 1 == 0
        assert each.description.endswith(".")
    assert "label" not in {each.name for each in RULES}
    assert RULES[-1].kind == "unknown"


def test_classify_runs_stores_rounded_features_with_nulls_as_json() -> None:
    row = {"waiting": True, "ran_s": 1234.56789, "histogram_basis": None}
    classified = (
        classifier.classify_runs(features_frame(row), Thresholds()).collect().row(0, named=True)
    )
    assert json.loads(classified["features"]) == {
        "waiting": True,
        "ran_s": 1234.5679,
        "idle_frac": None,
        "histogram_basis": None,
    }


def test_thresholds_from_config_change_the_rule_that_applies() -> None:
    changed = Thresholds.from_config({"debug_s": 1200, "long_walltime_h": 48})
    assert changed == replace(Thresholds(), debug_s=1200.0, long_walltime_h=48.0)
    assert rule_for(changed, ran_s=1199.0) == "short"
    assert rule_for(changed, **LONG, ran_s=HOUR) == "none"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"debug": 1}, "no such threshold"),
        ({"debug_s": 0}, "not a number above 0"),
        ({"debug_s": True}, "not a number"),
        ({"debug_s": "1"}, "not a number"),
    ],
)
def test_thresholds_from_config_with_invalid_value_raises(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Thresholds.from_config(given)
