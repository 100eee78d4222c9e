"""The rules: every one at its boundaries, their order, their fallbacks, and their variants."""

import json
from dataclasses import replace
from itertools import product
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint.errors import InputError
from footprint.phases import kinds
from footprint.phases.evidence import ENDED, EVIDENCE
from footprint.phases.kinds import RULES, VARIED, Thresholds
from footprint.tables import KINDS
from footprint.tables.phases import N_LEVELS

pytestmark = pytest.mark.filterwarnings("error")

HISTOGRAM = pl.List(pl.Float32)
TYPES = {
    "ended": ENDED,
    "node_level_s": HISTOGRAM,
    "gpu_level_s": HISTOGRAM,
    "started_at": pl.Datetime("us", "UTC"),
    "stopped_at": pl.Datetime("us", "UTC"),
    **dict.fromkeys(["interactive", "container", "besteffort", "prompt"], pl.Boolean),
    **dict.fromkeys(["waiting", "endless", "resubmitted"], pl.Boolean),
    **dict.fromkeys(["command_work", "name_work", "end_basis", "level_basis"], pl.String),
    "merged_by": pl.String,
    **dict.fromkeys(["run_id", "n_jobs", "n_nodes", "walltime_s", "array_size"], pl.Int64),
    **dict.fromkeys(["batch_size", "training_walltime_s"], pl.Int64),
    **dict.fromkeys(["step", "training_step"], pl.Int32),
}
SCHEMA = {name: TYPES.get(name, pl.Float64()) for name in EVIDENCE}
HOUR = 3600.0

# A job of half an hour on one GPU of four, of which nothing is known.
PLAIN: dict[str, Any] = {
    **dict.fromkeys(EVIDENCE),
    **{"run_id": 1, "n_jobs": 1, "merged_by": "single", "n_nodes": 1, "node_share": 0.25},
    **{"duration_s": HOUR / 2, "ran_s": HOUR / 2, "gpus": 1.0, "gpu_hours": 0.5},
    **{"interactive": False, "container": False, "besteffort": False, "prompt": False},
    **{"waiting": False, "endless": False, "resubmitted": False},
    **{"ended": "completed", "end_basis": "events", "array_size": 1, "batch_size": 1},
}


def levels(**parts: float) -> list[float]:
    """Seconds at steps, as in s0=80: the first of forty."""
    seconds = [0.0] * N_LEVELS
    for step, value in parts.items():
        seconds[int(step[1:])] = float(value)
    return seconds


def frame(*rows: dict[str, Any]) -> pl.LazyFrame:
    filled = [{**PLAIN, **row, "run_id": at} for at, row in enumerate(rows, 1)]
    return pl.LazyFrame(filled, schema=SCHEMA)


def decided(*rows: dict[str, Any], thresholds: Thresholds | None = None) -> list[str]:
    return kinds.classify(frame(*rows), thresholds or Thresholds()).collect()["rule"].to_list()


def rule(thresholds: Thresholds | None = None, **row: Any) -> str:
    return decided(row, thresholds=thresholds)[0]


IDLE_GPU = {"level_basis": "gpu", "gpu_level_s": levels(s0=100), "node_level_s": levels(s20=100)}
IDLE_NODE = {"node_share": 1.0, "level_basis": "node", "node_level_s": levels(s0=81, s20=19)}
STEADY = {"level_basis": "gpu", "gpu_level_s": levels(s20=100), "spread": 0.05, "burst_frac": 0.0}
DAY, LONG = {"walltime_s": 24 * 3600}, {"walltime_s": 24 * 3600 + 1}


def test_nothing_known_is_unknown() -> None:
    told = kinds.classify(frame({}), Thresholds()).collect().row(0, named=True)
    assert (told["kind"], told["rule"], told["evidence"]) == ("unknown", "none", "{}")
    assert told["confidence"] == 0.0


def test_what_never_ran_has_no_kind() -> None:
    told = kinds.classify(frame({"n_jobs": 0, "interactive": True}), Thresholds()).collect()
    assert told.select("kind", "rule").row(0) == (None, "never_ran")


def test_prompt_and_its_fallback_without_a_job_type() -> None:
    assert rule(interactive=True) == "prompt"
    assert rule(interactive=None, prompt=True) == "prompt"
    assert rule(interactive=None) == "none"
    # whatever else speaks
    assert rule(interactive=True, command_work="training", **LONG, ran_s=HOUR) == "prompt"


def test_a_wait_is_a_hold_when_endless_or_long_and_not_known_to_be_busy() -> None:
    wait = {"waiting": True}
    assert rule(**wait) == "session"
    assert rule(**wait, endless=True) == "kept"
    assert rule(**wait, ran_s=12 * HOUR) == "kept"
    assert rule(**wait, ran_s=12 * HOUR - 1) == "session"
    busy = levels(s0=80, s20=20)
    own = {"level_basis": "gpu", "gpu_level_s": busy}
    # idle for 80 %, and not for more
    assert rule(**wait, endless=True, **own) == "session"
    assert rule(**wait, endless=True, **IDLE_GPU) == "kept"


def test_a_wait_on_a_shared_node_is_not_judged_by_what_others_draw() -> None:
    shared = {"level_basis": "node", "node_level_s": levels(s20=100), "node_share": 0.5}
    assert rule(waiting=True, endless=True, **shared) == "kept"
    assert rule(waiting=True, endless=True, **{**shared, "node_share": 1.0}) == "session"


def test_attempts_are_short_and_did_not_end_well() -> None:
    attempt = {"resubmitted": True, "array_size": 2}
    assert rule(**attempt, ended="failed", ran_s=HOUR - 1) == "attempt"
    assert rule(**attempt, ended="failed", ran_s=HOUR) == "none"
    assert rule(**attempt, ended="completed") == "none"


def test_short_runs_are_debug_unless_many_or_a_decoding_that_ended_well() -> None:
    assert rule(ran_s=599.0) == "short"
    assert rule(ran_s=600.0) == "none"
    assert rule(ran_s=599.0, array_size=2) == "none"
    assert rule(ran_s=599.0, command_work="inference") == "decodes"
    assert rule(ran_s=599.0, command_work="inference", ended="failed") == "short"
    steps = {"step": 6, "training_step": 4, "training_walltime_s": 7 * 86400}
    assert rule(ran_s=599.0, **steps) == "step_decodes"
    # training ends well within minutes only where it is tried out
    assert rule(ran_s=599.0, command_work="training") == "short"


def test_without_array_ids_jobs_submitted_together_count_as_an_array() -> None:
    assert rule(ran_s=599.0, array_size=None) == "short"
    assert rule(ran_s=599.0, array_size=None, batch_size=2) == "none"
    assert rule(array_size=None, batch_size=3) == "sweep"


def test_failed_runs_of_half_an_hour_are_debug() -> None:
    for ended in ("failed", "cancelled"):
        assert rule(ended=ended, ran_s=1799.0) == "failed"
        assert rule(ended=ended, ran_s=1800.0) == "none"
    for ended in ("completed", "walltime", "killed", "running"):
        assert rule(ended=ended, ran_s=1799.0) == "none"
    assert rule(ended="failed", ran_s=1799.0, array_size=2) == "none"


def test_gpus_on_which_nothing_ran_for_an_hour_were_kept() -> None:
    hour = {"ran_s": HOUR}
    assert rule(**hour, **IDLE_GPU) == "idle"
    assert rule(**hour, **IDLE_NODE) == "idle"
    assert rule(ran_s=HOUR - 1, **IDLE_GPU) == "none"
    assert rule(**hour, **{**IDLE_NODE, "node_level_s": levels(s0=80, s20=20)}) != "idle"
    assert rule(**hour, **IDLE_GPU, array_size=2) == "none"
    assert rule(**hour, **IDLE_GPU, command_work="training") == "trains"
    assert rule(**hour, **IDLE_GPU, gpus=0.98) == "processors"


def test_idle_is_below_a_tenth_of_a_node_and_a_twentieth_of_a_gpu() -> None:
    for step, is_idle in ((3, True), (4, False)):
        own = {**IDLE_NODE, "node_level_s": levels(**{f"s{step}": 100})}
        assert (rule(ran_s=HOUR, **own) == "idle") is is_idle
    for step, is_idle in ((1, True), (2, False)):
        own = {**IDLE_GPU, "gpu_level_s": levels(**{f"s{step}": 100})}
        assert (rule(ran_s=HOUR, **own) == "idle") is is_idle


def test_preprocessing_by_words_by_what_is_held_and_by_idle_gpus_on_a_busy_node() -> None:
    assert rule(command_work="preprocessing") == "data_words"
    assert rule(gpus=0.0) == "processors"
    assert rule(gpus=0.98, command_work="training") == "processors"
    assert rule(gpus=0.99, command_work="training") == "trains"
    assert rule(**IDLE_GPU, ran_s=HOUR, **{"node_share": 1.0, "gpus": 4.0}) == "processors_only"
    # GPUs idle for 80 %, and not for more
    some = {**IDLE_GPU, "gpu_level_s": levels(s0=80, s20=20), "node_share": 1.0}
    assert rule(**some) == "none"


def test_words_of_the_command_train_and_decode() -> None:
    assert rule(command_work="training") == "trains"
    assert rule(command_work="inference") == "decodes"
    assert rule(command_work="inference", **LONG, ran_s=HOUR) == "decodes"


def test_steps_of_a_recipe_count_from_the_one_that_days_are_asked_for() -> None:
    known = {"training_step": 4, "training_walltime_s": 24 * 3600 + 1}
    assert rule(step=4, **known) == "step_trains"
    assert rule(step=5, **known) == "step_decodes"
    assert rule(step=3, **known) == "step_prepares"
    assert rule(step=4, **{**known, "training_walltime_s": 24 * 3600}) == "none"
    assert rule(step=4) == "none"


def test_what_was_resumed_or_asked_for_days_trains_from_an_hour_on() -> None:
    assert rule(merged_by="chain", n_jobs=2, ran_s=HOUR) == "resumed"
    assert rule(merged_by="chain", n_jobs=2, ran_s=HOUR - 1) == "none"
    assert rule(**LONG, ran_s=HOUR) == "asks_long"
    assert rule(**LONG, ran_s=HOUR - 1) == "none"
    assert rule(**DAY, ran_s=HOUR) == "none"
    assert rule(merged_by="array", ran_s=HOUR) == "none"


def test_bursts_about_the_mean_decode_where_the_levels_are_its_own() -> None:
    uneven = {"level_basis": "gpu", "burst_frac": 0.0021, "spread": 0.1, "ran_s": HOUR}
    assert rule(**uneven) == "bursts"
    assert rule(**{**uneven, "burst_frac": 0.002}) == "none"
    assert rule(**{**uneven, "spread": 0.099}) == "none"
    assert rule(**{**uneven, "ran_s": HOUR - 1}) == "none"
    assert rule(**{**uneven, "level_basis": "node"}) == "none"
    assert rule(**{**uneven, "level_basis": "node", "node_share": 1.0}) == "bursts"


def test_three_submitted_together_or_pushed_aside_are_a_sweep() -> None:
    assert rule(array_size=3) == "sweep"
    assert rule(array_size=2) == "none"
    assert rule(besteffort=True) == "sweep"


def test_small_runs_after_a_long_one_decode() -> None:
    after = {"after_long_h": 168.0, "ran_s": 4 * HOUR - 1}
    assert rule(**after) == "sequel"
    assert rule(**{**after, "after_long_h": 168.1}) == "none"
    assert rule(**{**after, "ran_s": 4 * HOUR}) == "none"
    assert rule(**after, ended="failed") == "none"
    assert rule(**after, node_share=0.5) == "sequel"  # one GPU of two
    assert rule(**after, node_share=0.5, gpus=2.0) == "none"
    assert rule(**after, node_share=0.25, gpus=2.0) == "sequel"


def test_hours_without_asking_for_more_than_a_day_decode() -> None:
    assert rule(**DAY, ran_s=4 * HOUR) == "asks_day"
    assert rule(**DAY, ran_s=4 * HOUR - 1) == "none"
    assert rule(walltime_s=None, ran_s=4 * HOUR) == "none"


def test_an_hour_at_a_plateau_trains_where_no_walltime_is_told() -> None:
    assert rule(**STEADY, ran_s=HOUR) == "plateau"
    assert rule(**STEADY, ran_s=HOUR - 1) == "none"
    most = {**STEADY, "gpu_level_s": levels(s3=30, s4=70)}  # 70 % from 0.1 on
    assert rule(**most, ran_s=HOUR) == "plateau"
    assert rule(**{**most, "gpu_level_s": levels(s3=31, s4=69)}, ran_s=HOUR) == "none"
    node = {"level_basis": "node", "node_level_s": levels(s4=100)}
    assert rule(**node, ran_s=HOUR) == "plateau"


def test_a_name_speaks_only_where_nothing_else_does() -> None:
    assert rule(name_work="training") == "name_trains"
    assert rule(name_work="inference") == "name_decodes"
    assert rule(name_work="inference", command_work="training") == "trains"
    assert rule(name_work="training", **DAY, ran_s=4 * HOUR) == "asks_day"


# Evidence for which each rule applies; every later rule is added to see that the earlier one wins.
APPLIES: dict[str, dict[str, Any]] = {
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


@pytest.mark.parametrize("later", range(1, len(APPLIES)))
def test_the_first_rule_that_applies_decides(later: int) -> None:
    names = list(APPLIES)
    both: dict[str, Any] = {}
    for name in reversed(names[later - 1 : later + 1]):
        both |= APPLIES[name]
    order = [each.name for each in RULES]
    assert order.index(names[later - 1]) < order.index(names[later])
    assert rule(**both) == names[later - 1]


def test_rules_are_named_once_and_speak_of_known_kinds_and_evidence() -> None:
    assert len({each.name for each in RULES}) == len(RULES)
    derived = {"idle_frac", "plateau_frac"}
    for each in RULES:
        assert each.kind is None or each.kind in KINDS
        assert set(each.saw) <= set(EVIDENCE) | derived
        assert 0 <= each.confidence <= 1
        assert round(each.confidence * 20, 9) % 1 == 0
        assert each.why.endswith(".")
    assert "label" not in {each.name for each in RULES}
    assert RULES[-1].kind == "unknown"


def test_what_a_rule_saw_is_kept_as_json_rounded_and_with_nulls() -> None:
    row = {"waiting": True, "ran_s": 1234.56789, "level_basis": None}
    told = kinds.classify(frame(row), Thresholds()).collect().row(0, named=True)
    assert json.loads(told["evidence"]) == {
        "waiting": True,
        "ran_s": 1234.5679,
        "idle_frac": None,
        "level_basis": None,
    }


def test_thresholds_come_from_the_configuration_and_change_decisions() -> None:
    longer = Thresholds.from_config({"debug_s": 1200, "long_walltime_h": 48})
    assert longer == replace(Thresholds(), debug_s=1200.0, long_walltime_h=48.0)
    assert rule(longer, ran_s=1199.0) == "short"
    assert rule(longer, **LONG, ran_s=HOUR) == "none"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"debug": 1}, "no such threshold"),
        ({"debug_s": 0}, "no number above 0"),
        ({"debug_s": True}, "no number"),
        ({"debug_s": "1"}, "no number"),
    ],
)
def test_a_threshold_that_cannot_be_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Thresholds.from_config(given)


def test_labels_override_rules_but_do_not_make_jobs_run() -> None:
    told = kinds.classify(frame({}, {"n_jobs": 0}, {"gpus": 0.0}, {}), Thresholds())
    labels = pl.LazyFrame({"run_id": [1, 2, 3], "kind": ["training_run", "debug", None]})
    rows = kinds.labelled(told, labels).collect()
    assert rows.select("kind", "rule", "confidence").rows() == [
        ("training_run", "label", 1.0),
        (None, "never_ran", 1.0),
        ("preprocessing", "processors", 0.95),
        ("unknown", "none", 0.0),
    ]
    assert rows["evidence"][0] == "{}"


MIXED: tuple[dict[str, Any], ...] = (
    {},
    {"n_jobs": 0},
    {"ran_s": 400.0},
    {"ran_s": 1000.0},
    {**LONG, "ran_s": HOUR},
    {"walltime_s": 13 * 3600, "ran_s": 5 * HOUR},
    {"walltime_s": 36 * 3600, "ran_s": 5 * HOUR},
    {**STEADY, "gpu_level_s": levels(s3=100), "ran_s": HOUR},
    {**IDLE_NODE, "node_level_s": levels(s5=100), "ran_s": HOUR},
    {**IDLE_GPU, "gpu_level_s": levels(s1=100), "ran_s": HOUR},
    {"step": 6, "training_step": 4, "training_walltime_s": 2 * 86400},
)


def test_the_variant_of_all_factors_1_is_what_classify_says() -> None:
    told = kinds.variants(frame(*MIXED), Thresholds()).collect()
    assert told["variant"].unique().sort().to_list() == list(range(81))
    middle = told.filter(pl.col("variant") == 40).drop("variant")
    alone = kinds.classify(frame(*MIXED), Thresholds()).select("run_id", "kind").collect()
    assert_frame_equal(middle, alone)


def test_variants_are_as_many_classifications_of_their_own() -> None:
    told = kinds.variants(frame(*MIXED), Thresholds()).collect()
    separately = []
    for variant, factors in enumerate(product((0.5, 1.0, 2.0), repeat=4)):
        changed = {
            name: getattr(Thresholds(), name) * factor
            for name, factor in zip(VARIED, factors, strict=True)
        }
        own = kinds.classify(frame(*MIXED), replace(Thresholds(), **changed))
        separately.append(own.select("run_id", pl.lit(variant, pl.Int16).alias("variant"), "kind"))
    assert_frame_equal(told, pl.concat(separately).collect())
    # each of the four thresholds matters to some run; plateaus low enough may be idle
    changes = told.group_by("run_id").agg(pl.col("kind").n_unique()).sort("run_id")
    assert changes["kind"].to_list() == [1, 1, 2, 2, 2, 2, 2, 3, 3, 2, 2]
