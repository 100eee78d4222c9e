"""From the raw records of a cluster to the energy of its jobs, and to the figures of the study.

Raw data lands in `resources/`, results in `results/`. `config.yaml` says what is studied; the rules are
in `workflow/rules`, one file a stage, the computations in `workflow/src/footprint`.
"""

from pathlib import Path

from snakemake.utils import min_version

from footprint import labels, provenance, settings, study, summary
from footprint.errors import InputError

min_version("9.27")

try:
    settings.check_readable("config.yaml")
    # so far, `config` has what --configfile and --config give
    settings.check_study(config, below="config.yaml")
except InputError as error:
    raise SystemExit(str(error)) from None


configfile: "config.yaml"


try:
    config.update(settings.load(config))
    STUDY = study.plan(config)
    labels.read(config["labels"]["files"])
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


include: "workflow/rules/download.smk"
include: "workflow/rules/ledgers.smk"
include: "workflow/rules/devices.smk"
include: "workflow/rules/energy.smk"
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


rule all:
    default_target: True
    input:
        rules.gather_energy.output,
        rules.estimate_energy.output,
        rules.compare_estimates.output,
        rules.build_levels.output,
        rules.classify_runs.output,
        rules.compare_phases.output,
        rules.estimate_carbon.output,
        rules.write_summary.output,
        rules.plot_energy_by_class.output,
        rules.plot_energy_over_time.output,
        rules.plot_concentration.output,
        rules.plot_models.output,
        rules.plot_active_users.output,
        rules.plot_site_map.output,
        rules.plot_levels.output,
        rules.plot_methods.output,
        rules.plot_ratios.output,
        rules.plot_phases.output,
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
        rules.tabulate_methods.output,
        rules.tabulate_ratios.output,
        rules.tabulate_estimators.output,
        rules.tabulate_phases.output,
        rules.tabulate_quality.output,
        collect(
            rules.download_series.output,
            series=STUDY.other_series,
            cluster=STUDY.clusters,
            month=STUDY.months,
        ),
        branch(
            STUDY.simulated,
            then=[rules.evaluate_phases.output, rules.tabulate_evaluation.output],
            otherwise=[],
        ),
        branch(
            STUDY.has_ledgers,
            then=[rules.reconcile_ledgers.output, rules.tabulate_ledgers.output],
            otherwise=[],
        ),
        branch(STUDY.reveal, then=rules.reveal_names.output, otherwise=[]),
        branch(
            STUDY.checked,
            then=[
                rules.check_simulation.output,
                rules.plot_simulation_check.output,
                rules.tabulate_simulation_check.output,
            ],
            otherwise=[],
        ),


rule validation:
    """All methods on recorded runs of a real node, against a wattmetre; needs no other rule."""
    input:
        rules.compare_recordings.output,
        rules.plot_validation.output,
        rules.tabulate_validation.output,


# Snakemake runs a rule again when its script changes, but not when the library behind it does.
library = provenance.Library()
for each in workflow.rules:
    if each.script:
        code = Path(each.basedir.get_path_or_uri(secret_free=True), each.script)
        each.set_params(code=library.fingerprint(code))


onsuccess:
    # the report is written into it, of a run of a single file of resources/ too
    Path("results").mkdir(exist_ok=True)
    print(summary.text("results", checked=STUDY.checked))
