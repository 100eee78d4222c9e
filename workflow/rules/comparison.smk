"""Estimates against measured energy, with figures and tables.

REQUIRED INPUTS: estimates and levels, energies of jobs
OUTPUTS:
    ratios      results/estimates/ratios.parquet                estimated over measured energy
    figures     results/figures/{methods,ratios}.{pdf,svg,png}
    tables      results/tables/{methods,ratios,estimators}.{csv,html,tex}
"""


rule compare_estimates:
    """Compute the ratio of each estimator to the measured energy, by group of jobs."""
    input:
        estimates=rules.estimate_energy.output.estimates,
        job_energy=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        hardware=rules.look_up_hardware.output.hardware,
    output:
        ratios="<results>/estimates/ratios.parquet",
    log:
        "<logs>/compare_estimates.log",
    benchmark:
        "<benchmarks>/compare_estimates.jsonl"
    conda:
        "../../envs/footprint.yaml"
    script:
        "../scripts/compare_estimates.py"


use rule draw as plot_methods with:
    """Draw energy at each level by the four methods of the study."""
    input:
        levels=rules.build_levels.output.levels,
    output:
        **figure_files(
            "methods", category="3 Estimators", shows="four methods at each level", has_column=True
        ),
    pathvars:
        rule="plot_methods",
    params:
        function="figures.methods.plot",
        pue=STUDY.pue,


use rule tabulate as tabulate_methods with:
    """Tabulate energy at each level by every method, absolute and relative to the measurement."""
    input:
        levels=rules.build_levels.output.levels,
    output:
        **table_files("methods", category="3 Estimators", shows="all methods at each level"),
    pathvars:
        rule="tabulate_methods",
    params:
        function="tables.estimates.methods_table",
        pue=STUDY.pue,


use rule draw as plot_ratios with:
    """Draw the ratios of the estimators by cluster, GPU and duration."""
    input:
        ratios=rules.compare_estimates.output.ratios,
    output:
        **figure_files(
            "ratios", category="3 Estimators", shows="estimators against the measurement"
        ),
    pathvars:
        rule="plot_ratios",
    params:
        function="figures.ratios.plot",


use rule tabulate as tabulate_ratios with:
    """Tabulate the ratios of all estimators by cluster, GPU and duration."""
    input:
        ratios=rules.compare_estimates.output.ratios,
    output:
        **table_files("ratios", category="3 Estimators", shows="estimators against the measurement"),
    pathvars:
        rule="tabulate_ratios",
    params:
        function="tables.estimates.ratios_table",


use rule tabulate as tabulate_estimators with:
    """Tabulate the inputs of each estimator, and what it includes and leaves out."""
    input:
        ratios=rules.compare_estimates.output.ratios,
        estimates=rules.estimate_energy.output.estimates,
    output:
        **table_files(
            "estimators", category="3 Estimators", shows="inputs and omissions of each estimator"
        ),
    pathvars:
        rule="tabulate_estimators",
    params:
        function="tables.estimates.estimators_table",
