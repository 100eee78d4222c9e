"""Energy of development over reported training (R), with figures and tables.

REQUIRED INPUTS: runs and their features, levels
OUTPUTS:
    ratio       results/phases/ratio.parquet                    R of papers and projects
    evaluation  results/phases/evaluation.parquet               assigned against true kinds
    figures     results/figures/{name}.{pdf,svg,png}
    tables      results/tables/{phases,concentration,evaluation}.{csv,html,tex}
"""


rule compare_phases:
    """Compute R of each paper and project: development over reported training, with its range."""
    input:
        runs=rules.classify_runs.output.runs,
        features=rules.extract_features.output.features,
        labels=rules.match_labels.output.labels,
        levels=rules.build_levels.output.levels,
        job_nodes=rules.combine_energy.output.job_nodes,
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
    output:
        ratio="<results>/phases/ratio.parquet",
    log:
        "<logs>/compare_phases.log",
    benchmark:
        "<benchmarks>/compare_phases.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        thresholds=STUDY.phases["thresholds"],
        papers=STUDY.config["levels"]["papers"],
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/compare_phases.py"


rule evaluate_phases:
    """Compare assigned with true kinds on the simulated site."""
    input:
        features=rules.extract_features.output.features,
        run_of_job=rules.merge_runs.output.run_of_job,
        job_energy=rules.combine_energy.output.jobs,
        truth=rules.download_truth.output.kinds,
    output:
        evaluation="<results>/phases/evaluation.parquet",
    log:
        "<logs>/evaluate_phases.log",
    benchmark:
        "<benchmarks>/evaluate_phases.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        thresholds=STUDY.phases["thresholds"],
    script:
        "../scripts/evaluate_phases.py"


rule plot_phases:
    """Draw the shares of training, inference and development of each paper and project."""
    input:
        ratio=rules.compare_phases.output.ratio,
    output:
        svg=report(
            "<results>/figures/phases.svg",
            caption="../report/phases.rst",
            category="4 Phases",
            labels={"shows": "phases of papers and projects, figure"},
        ),
        pdf="<results>/figures/phases.pdf",
        png="<results>/figures/phases.png",
    log:
        "<logs>/plot_phases.log",
    benchmark:
        "<benchmarks>/plot_phases.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/plot_phases.py"


rule tabulate_phases:
    """Tabulate the phases of each paper and project, with R, its range and its bounds."""
    input:
        ratio=rules.compare_phases.output.ratio,
    output:
        html=report(
            "<results>/tables/phases.html",
            caption="../report/phases_table.rst",
            category="4 Phases",
            labels={"shows": "phases of papers and projects, table"},
        ),
        csv="<results>/tables/phases.csv",
        tex="<results>/tables/phases.tex",
    log:
        "<logs>/tabulate_phases.log",
    benchmark:
        "<benchmarks>/tabulate_phases.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_phases.py"


rule plot_energy_per_run:
    """Draw energy per run against the frequency of runs: schematic and data."""
    input:
        runs=rules.classify_runs.output.runs,
    output:
        svg=report(
            "<results>/figures/energy_per_run.svg",
            caption="../report/energy_per_run.rst",
            category="4 Phases",
            labels={"shows": "energy per run and runs per week, figure"},
        ),
        pdf="<results>/figures/energy_per_run.pdf",
        png="<results>/figures/energy_per_run.png",
    log:
        "<logs>/plot_energy_per_run.log",
    benchmark:
        "<benchmarks>/plot_energy_per_run.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        start=STUDY.start,
        end=STUDY.end,
        provenance=PROVENANCE,
    script:
        "../scripts/plot_energy_per_run.py"


rule plot_paper_runs:
    """Draw the runs of each paper over time, by phase, with their cumulative energy."""
    input:
        runs=rules.classify_runs.output.runs,
        jobs=rules.download_jobs.output.jobs,
        ratio=rules.compare_phases.output.ratio,
        labels=rules.match_labels.output.labels,
        levels=rules.build_levels.output.levels,
    output:
        svg=report(
            "<results>/figures/paper_runs.svg",
            caption="../report/paper_runs.rst",
            category="4 Phases",
            labels={"shows": "runs of papers over time, figure"},
        ),
        pdf="<results>/figures/paper_runs.pdf",
        png="<results>/figures/paper_runs.png",
    log:
        "<logs>/plot_paper_runs.log",
    benchmark:
        "<benchmarks>/plot_paper_runs.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        start=STUDY.start,
        end=STUDY.end,
        papers=STUDY.config["levels"]["papers"],
        provenance=PROVENANCE,
    script:
        "../scripts/plot_paper_runs.py"


rule plot_concentration:
    """Draw the share of energy against the share of jobs, and of runs."""
    input:
        job_energy=rules.combine_energy.output.jobs,
        runs=rules.classify_runs.output.runs,
    output:
        svg=report(
            "<results>/figures/concentration.svg",
            caption="../report/concentration.rst",
            category="1 Site",
            labels={"shows": "share of energy by share of jobs, figure"},
        ),
        pdf="<results>/figures/concentration.pdf",
        png="<results>/figures/concentration.png",
    log:
        "<logs>/plot_concentration.log",
    benchmark:
        "<benchmarks>/plot_concentration.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/plot_concentration.py"


rule tabulate_concentration:
    """Tabulate the energy of the largest jobs and runs, and of jobs by duration."""
    input:
        job_energy=rules.combine_energy.output.jobs,
        runs=rules.classify_runs.output.runs,
    output:
        html=report(
            "<results>/tables/concentration.html",
            caption="../report/concentration_table.rst",
            category="1 Site",
            labels={"shows": "share of energy by share of jobs, table"},
        ),
        csv="<results>/tables/concentration.csv",
        tex="<results>/tables/concentration.tex",
    log:
        "<logs>/tabulate_concentration.log",
    benchmark:
        "<benchmarks>/tabulate_concentration.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_concentration.py"


rule tabulate_evaluation:
    """Tabulate assigned against true kinds, by energy and by count."""
    input:
        evaluation=rules.evaluate_phases.output.evaluation,
    output:
        html=report(
            "<results>/tables/evaluation.html",
            caption="../report/evaluation_table.rst",
            category="4 Phases",
            labels={"shows": "kinds found against true kinds, table"},
        ),
        csv="<results>/tables/evaluation.csv",
        tex="<results>/tables/evaluation.tex",
    log:
        "<logs>/tabulate_evaluation.log",
    benchmark:
        "<benchmarks>/tabulate_evaluation.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_evaluation.py"
