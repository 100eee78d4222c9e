"""From the raw records of a cluster to the energy of its jobs, and to the figures of the study.

Raw data is written to `resources/`, results to `results/`. `config.yaml` configures the study.
The rules are in `workflow/rules`, one file a stage; the computations in `workflow/src/footprint`.
"""

import atexit
import gc
import sys
from pathlib import Path

from snakemake.logging import logger
from snakemake.utils import min_version

from footprint.config import settings, study
from footprint.core import limits
from footprint.core.errors import InputError
from footprint.core.fingerprint import Library
from footprint.core.provenance import describe_study
from footprint.labels import files as label_files
from footprint.report import terminal
from footprint.sources import registry

min_version("9.27")

try:
    settings.check_readable("config.yaml")
    # here, `config` contains the keys of --configfile and --config alone
    settings.check_study_keys(config, below="config.yaml")
except InputError as error:
    raise SystemExit(str(error)) from None


configfile: "config.yaml"


try:
    config.update(settings.prepare_configuration(config))
    limits.pass_on_limits(config["limits"])
    STUDY = study.plan_study(config)
    label_files.read_labels(config["labels"]["files"])
except InputError as error:
    raise SystemExit(str(error)) from None


pathvars:
    site=STUDY.site,
    metric=STUDY.metric,
    gpu_metric=STUDY.gpu_metric,


wildcard_constraints:
    cluster="[A-Za-z0-9][A-Za-z0-9_-]*",  # as node_names.CLUSTER
    month=r"\d{4}-\d{2}",
    series="[A-Za-z][A-Za-z0-9_]*",


include: "workflow/rules/report_files.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/ledgers.smk"
include: "workflow/rules/devices.smk"
include: "workflow/rules/power.smk"
include: "workflow/rules/energy.smk"
include: "workflow/rules/counters.smk"
include: "workflow/rules/estimates.smk"
include: "workflow/rules/phases.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/ledger_results.smk"
include: "workflow/rules/comparison.smk"
include: "workflow/rules/phase_results.smk"
include: "workflow/rules/background.smk"
include: "workflow/rules/summary.smk"
include: "workflow/rules/private.smk"
include: "workflow/rules/validation.smk"
include: "workflow/rules/report_page.smk"


rule all:
    default_target: True
    input:
        rules.combine_energy.output,
        rules.estimate_energy.output,
        rules.compare_estimates.output,
        rules.build_levels.output,
        rules.budget_uncertainty.output,
        rules.classify_runs.output,
        rules.compare_phases.output,
        rules.measure_reliability.output,
        rules.estimate_carbon.output,
        rules.write_summary.output,
        rules.write_report.output,
        rules.plot_energy_by_class.output,
        rules.plot_energy_over_time.output,
        rules.plot_concentration.output,
        rules.plot_models.output,
        rules.plot_active_users.output,
        rules.plot_site_map.output,
        rules.plot_levels.output,
        rules.plot_uncertainty.output,
        rules.plot_methods.output,
        rules.plot_ratios.output,
        rules.plot_phases.output,
        rules.plot_sensitivities.output,
        rules.plot_phase_energies.output,
        rules.plot_ratio_uncertainty.output,
        rules.plot_reliability.output,
        rules.plot_energy_per_run.output,
        rules.plot_paper_runs.output,
        rules.plot_node_week.output,
        rules.tabulate_study.output,
        rules.tabulate_hardware.output,
        rules.tabulate_carbon.output,
        rules.tabulate_energy_by_class.output,
        rules.tabulate_energy_over_time.output,
        rules.tabulate_concentration.output,
        rules.tabulate_active_users.output,
        rules.tabulate_levels.output,
        rules.tabulate_uncertainty.output,
        rules.tabulate_virtual_meter.output,
        rules.tabulate_methods.output,
        rules.tabulate_ratios.output,
        rules.tabulate_estimators.output,
        rules.tabulate_phases.output,
        rules.tabulate_sensitivities.output,
        rules.tabulate_stages.output,
        rules.tabulate_phase_energies.output,
        rules.tabulate_ratio_uncertainty.output,
        rules.tabulate_reliability.output,
        rules.tabulate_quality.output,
        collect(
            rules.download_series.output,
            series=STUDY.other_series,
            cluster=STUDY.clusters,
            month=STUDY.months,
        ),
        branch(
            STUDY.is_simulated,
            then=[rules.evaluate_phases.output, rules.tabulate_evaluation.output],
            otherwise=[],
        ),
        branch(
            STUDY.has_ledgers,
            then=[rules.reconcile_ledgers.output, rules.tabulate_ledgers.output],
            otherwise=[],
        ),
        branch(
            STUDY.has_counters,
            then=[rules.compare_counters.output, rules.tabulate_counters.output],
            otherwise=[],
        ),
        branch(STUDY.reveals_logins, then=rules.reveal_names.output, otherwise=[]),
        branch(
            STUDY.has_truth,
            then=[
                rules.check_simulation.output,
                rules.check_totals.output,
                rules.plot_simulation_check.output,
                rules.tabulate_simulation_check.output,
            ],
            otherwise=[],
        ),


rule validation:
    """Compare all methods with a wattmeter on recorded runs of a real node; needs no other rule."""
    input:
        rules.compare_recordings.output,
        rules.plot_validation.output,
        rules.tabulate_validation.output,


# Snakemake reruns a rule when its script changes; the fingerprint, when a function or constant that
# the script uses does.
gc.disable()  # else it goes through all that was parsed, which takes as long as parsing
library = Library(loaded_by_name={registry.__name__: [registry.site_module(STUDY.source)]})
for each in workflow.rules:
    if each.script:
        code = Path(each.basedir.get_path_or_uri(secret_free=True), each.script)
        # draw.py and tabulate.py import the function of the figure or table by its name
        function = each.params.get("function")
        called = [f"footprint.report.{function}"] if function else []
        each.set_params(code=library.fingerprint(code, called))
del library
gc.enable()


onstart:
    study.protect_resources()


# for the log handler of the terminal (snakemake_logger_plugin_footprint)
rule_files = {each.name: Path(each.snakefile).stem for each in workflow.rules}
described = {"study": STUDY.description, "report": "results/report.html"}
logger.info("", extra={**described, "rule_files": rule_files})


onsuccess:
    similar = f"resources/{STUDY.site}/rejected/labels.parquet"
    summary = terminal.results_text("results", checked=STUDY.has_truth, similar_names=similar)
    of_eco2mix = f"resources/{STUDY.site}/rejected/eco2mix.parquet"
    errors = terminal.intensity_errors(of_eco2mix) if STUDY.config["carbon"]["eco2mix"] else ""
    # printed at exit, last first, after all that Snakemake prints
    if errors:
        atexit.register(print, errors, file=sys.stderr)
    atexit.register(print, summary, flush=True)
    if errors:
        # the energies exist; the status says that an input is wrong
        raise SystemExit(1)
