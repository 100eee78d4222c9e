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


rule plot_methods:
    """Draw energy at each level by the four methods of the study."""
    input:
        levels=rules.build_levels.output.levels,
    output:
        svg=report(
            "<results>/figures/methods.svg",
            caption="../report/methods.rst",
            category="3 Estimators",
            labels={"shows": "four methods at each level, figure"},
        ),
        pdf="<results>/figures/methods.pdf",
        png="<results>/figures/methods.png",
    log:
        "<logs>/plot_methods.log",
    benchmark:
        "<benchmarks>/plot_methods.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        pue=STUDY.pue,
        provenance=PROVENANCE,
    script:
        "../scripts/plot_methods.py"


rule tabulate_methods:
    """Tabulate energy at each level by every method, absolute and relative to the measurement."""
    input:
        levels=rules.build_levels.output.levels,
    output:
        html=report(
            "<results>/tables/methods.html",
            caption="../report/methods_table.rst",
            category="3 Estimators",
            labels={"shows": "all methods at each level, table"},
        ),
        csv="<results>/tables/methods.csv",
        tex="<results>/tables/methods.tex",
    log:
        "<logs>/tabulate_methods.log",
    benchmark:
        "<benchmarks>/tabulate_methods.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        pue=STUDY.pue,
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_methods.py"


rule plot_ratios:
    """Draw the ratios of the estimators by cluster, GPU and duration."""
    input:
        ratios=rules.compare_estimates.output.ratios,
    output:
        svg=report(
            "<results>/figures/ratios.svg",
            caption="../report/ratios.rst",
            category="3 Estimators",
            labels={"shows": "estimators against the measurement, figure"},
        ),
        pdf="<results>/figures/ratios.pdf",
        png="<results>/figures/ratios.png",
    log:
        "<logs>/plot_ratios.log",
    benchmark:
        "<benchmarks>/plot_ratios.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/plot_ratios.py"


rule tabulate_ratios:
    """Tabulate the ratios of all estimators by cluster, GPU and duration."""
    input:
        ratios=rules.compare_estimates.output.ratios,
    output:
        html=report(
            "<results>/tables/ratios.html",
            caption="../report/ratios_table.rst",
            category="3 Estimators",
            labels={"shows": "estimators against the measurement, table"},
        ),
        csv="<results>/tables/ratios.csv",
        tex="<results>/tables/ratios.tex",
    log:
        "<logs>/tabulate_ratios.log",
    benchmark:
        "<benchmarks>/tabulate_ratios.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_ratios.py"


rule tabulate_estimators:
    """Tabulate the inputs of each estimator, and what it includes and leaves out."""
    input:
        ratios=rules.compare_estimates.output.ratios,
        estimates=rules.estimate_energy.output.estimates,
    output:
        html=report(
            "<results>/tables/estimators.html",
            caption="../report/estimators_table.rst",
            category="3 Estimators",
            labels={"shows": "inputs and omissions of each estimator, table"},
        ),
        csv="<results>/tables/estimators.csv",
        tex="<results>/tables/estimators.tex",
    log:
        "<logs>/tabulate_estimators.log",
    benchmark:
        "<benchmarks>/tabulate_estimators.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_estimators.py"
