"""Energy of development over reported training (R), with figures and tables.

REQUIRED INPUTS: runs and their features, levels
OUTPUTS:
    ratio       results/phases/ratio.parquet                    R of papers and projects
    sensitivities   results/phases/sensitivities.parquet        R under other choices
    energies    results/phases/energies.parquet                 energy of phases and kinds
    uncertainty results/phases/ratio_uncertainty.parquet        sources of uncertainty of R
    stages      results/phases/stages.parquet                   development by stage
    evaluation  results/phases/evaluation.parquet               assigned against true kinds
    accuracy    results/phases/accuracy.parquet                 share of right kinds
    reliability results/phases/reliability.parquet              probabilities of kinds, and truth
    totals      results/validation/against_truth.parquet        totals and R beside the truth
    figures     results/figures/{name}.{pdf,svg,png}
    tables      results/tables/{phases,phase_energies,stages,concentration,evaluation,...}.{csv,html,tex}
"""


rule compare_phases:
    """Compute R of papers and projects with sensitivities and budget, and energies of phases."""
    input:
        runs=rules.classify_runs.output.runs,
        features=rules.extract_features.output.features,
        labels=rules.classify_runs.output.labels,
        levels=rules.build_levels.output.levels,
        job_energy=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
        virtual_meter=rules.fit_virtual_meter.output.virtual_meter,
        by_gate=rules.compare_gates.output.by_gate,
    output:
        ratio="<results>/phases/ratio.parquet",
        sensitivities="<results>/phases/sensitivities.parquet",
        energies="<results>/phases/energies.parquet",
        uncertainty="<results>/phases/ratio_uncertainty.parquet",
    log:
        "<logs>/compare_phases.log",
    benchmark:
        "<benchmarks>/compare_phases.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        papers=STUDY.config["levels"]["papers"],
        start=STUDY.start,
        end=STUDY.end,
        meters=STUDY.meters,
        gate=STUDY.integration["gate"],
    script:
        "../scripts/compare_phases.py"


rule break_down_stages:
    """Break the development of each paper and project down by stage, where labels give it."""
    input:
        runs=rules.classify_runs.output.runs,
        labels=rules.classify_runs.output.labels,
        levels=rules.build_levels.output.levels,
        job_energy=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        virtual_meter=rules.fit_virtual_meter.output.virtual_meter,
    output:
        stages="<results>/phases/stages.parquet",
    log:
        "<logs>/break_down_stages.log",
    benchmark:
        "<benchmarks>/break_down_stages.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        papers=STUDY.config["levels"]["papers"],
        meters=STUDY.meters,
    script:
        "../scripts/break_down_stages.py"


rule evaluate_phases:
    """Compare assigned with true kinds on the simulated site, beside rules and two baselines."""
    input:
        features=rules.extract_features.output.features,
        run_of_job=rules.merge_runs.output.run_of_job,
        job_energy=rules.combine_energy.output.jobs,
        truth=rules.download_truth.output.kinds,
    output:
        evaluation="<results>/phases/evaluation.parquet",
        accuracy="<results>/phases/accuracy.parquet",
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


rule measure_reliability:
    """Compare probabilities of kinds with how often they are right, by truth or by labels."""
    input:
        features=rules.extract_features.output.features,
        run_of_job=rules.merge_runs.output.run_of_job,
        job_energy=rules.combine_energy.output.jobs,
        labels=rules.match_labels.output.labels,
        truth=branch(STUDY.is_simulated, then=rules.download_truth.output.kinds, otherwise=[]),
    output:
        reliability="<results>/phases/reliability.parquet",
    log:
        "<logs>/measure_reliability.log",
    benchmark:
        "<benchmarks>/measure_reliability.jsonl"
    conda:
        "../../envs/footprint.yaml"
    script:
        "../scripts/measure_reliability.py"


rule check_totals:
    """Compare the totals of the levels and R of the papers with the truth of the simulated site."""
    input:
        levels=rules.build_levels.output.levels,
        ratio=rules.compare_phases.output.ratio,
        job_energy=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        labels=rules.classify_runs.output.labels,
        truth=rules.download_truth.output.truth,
        kinds=rules.download_truth.output.kinds,
    output:
        totals="<results>/validation/against_truth.parquet",
    log:
        "<logs>/check_totals.log",
    benchmark:
        "<benchmarks>/check_totals.jsonl"
    conda:
        "../../envs/footprint.yaml"
    script:
        "../scripts/check_totals.py"


use rule draw as plot_phases with:
    """Draw the shares of training, inference and development of each paper and project."""
    input:
        ratio=rules.compare_phases.output.ratio,
        sensitivities=rules.compare_phases.output.sensitivities,
    output:
        **figure_files(
            "phases", category="4 Phases", shows="phases of papers and projects", has_column=True
        ),
    pathvars:
        rule="plot_phases",
    params:
        function="figures.phases.plot",


use rule tabulate as tabulate_phases with:
    """Tabulate the phases of each paper and project, with R, its range and its bounds."""
    input:
        ratio=rules.compare_phases.output.ratio,
    output:
        **table_files("phases", category="4 Phases", shows="phases of papers and projects"),
    pathvars:
        rule="tabulate_phases",
    params:
        function="tables.phases.phases_table",


use rule draw as plot_phase_energies with:
    """Draw the energy of each kind of run and of each phase, with intervals."""
    input:
        energies=rules.compare_phases.output.energies,
    output:
        **figure_files("phase_energies", category="4 Phases", shows="energy by kind and phase"),
    pathvars:
        rule="plot_phase_energies",
    params:
        function="figures.phase_energies.plot",


use rule tabulate as tabulate_phase_energies with:
    """Tabulate the energy of each phase and kind, of the site, projects and papers."""
    input:
        energies=rules.compare_phases.output.energies,
    output:
        **table_files("phase_energies", category="4 Phases", shows="energy by kind and phase"),
    pathvars:
        rule="tabulate_phase_energies",
    params:
        function="tables.phase_energies.phase_energies_table",


use rule draw as plot_ratio_uncertainty with:
    """Draw the share of each source in the uncertainty of R of each paper."""
    input:
        uncertainty=rules.compare_phases.output.uncertainty,
        ratio=rules.compare_phases.output.ratio,
    output:
        **figure_files(
            "ratio_uncertainty", category="4 Phases", shows="sources of uncertainty of R"
        ),
    pathvars:
        rule="plot_ratio_uncertainty",
    params:
        function="figures.ratio_uncertainty.plot",


use rule tabulate as tabulate_ratio_uncertainty with:
    """Tabulate the uncertainty budget of R of each paper and project."""
    input:
        uncertainty=rules.compare_phases.output.uncertainty,
    output:
        **table_files("ratio_uncertainty", category="4 Phases", shows="sources of uncertainty of R"),
    pathvars:
        rule="tabulate_ratio_uncertainty",
    params:
        function="tables.uncertainty.ratio_uncertainty_table",


use rule draw as plot_reliability with:
    """Draw how often kinds are right against their probabilities."""
    input:
        reliability=rules.measure_reliability.output.reliability,
    output:
        **figure_files("reliability", category="4 Phases", shows="reliability of kinds"),
    pathvars:
        rule="plot_reliability",
    params:
        function="figures.reliability.plot",


use rule tabulate as tabulate_reliability with:
    """Tabulate how often kinds are right against their probabilities."""
    input:
        reliability=rules.measure_reliability.output.reliability,
    output:
        **table_files("reliability", category="4 Phases", shows="reliability of kinds"),
    pathvars:
        rule="tabulate_reliability",
    params:
        function="tables.reliability.reliability_table",


use rule tabulate as tabulate_stages with:
    """Tabulate the development of each paper and project by stage."""
    input:
        stages=rules.break_down_stages.output.stages,
    output:
        **table_files("stages", category="4 Phases", shows="development by stage"),
    pathvars:
        rule="tabulate_stages",
    params:
        function="tables.phases.stages_table",


use rule draw as plot_sensitivities with:
    """Draw R of each paper under other choices."""
    input:
        sensitivities=rules.compare_phases.output.sensitivities,
        ratio=rules.compare_phases.output.ratio,
    output:
        **figure_files("sensitivities", category="4 Phases", shows="R under other choices"),
    pathvars:
        rule="plot_sensitivities",
    params:
        function="figures.sensitivities.plot",


use rule tabulate as tabulate_sensitivities with:
    """Tabulate R of each paper and project under other choices."""
    input:
        sensitivities=rules.compare_phases.output.sensitivities,
    output:
        **table_files("sensitivities", category="4 Phases", shows="R under other choices"),
    pathvars:
        rule="tabulate_sensitivities",
    params:
        function="tables.phases.sensitivities_table",


use rule draw as plot_energy_per_run with:
    """Draw energy per run against the frequency of runs: schematic and data."""
    input:
        runs=rules.classify_runs.output.runs,
    output:
        **figure_files(
            "energy_per_run", category="4 Phases", shows="energy per run and runs per week"
        ),
    pathvars:
        rule="plot_energy_per_run",
    params:
        function="figures.energy_per_run.plot",
        weeks=STUDY.weeks,


use rule draw as plot_paper_runs with:
    """Draw the runs of each paper over time, by phase, with their cumulative energy."""
    input:
        runs=rules.classify_runs.output.runs,
        jobs=rules.download_jobs.output.jobs,
        ratio=rules.compare_phases.output.ratio,
        labels=rules.classify_runs.output.labels,
        levels=rules.build_levels.output.levels,
    output:
        **figure_files(
            "paper_runs", category="4 Phases", shows="runs of papers over time", has_column=True
        ),
    pathvars:
        rule="plot_paper_runs",
    params:
        function="figures.paper_runs.plot_runs_of_papers",
        start=STUDY.start,
        end=STUDY.end,
        papers=STUDY.config["levels"]["papers"],


use rule draw as plot_concentration with:
    """Draw the share of energy against the share of jobs, and of runs."""
    input:
        jobs=rules.combine_energy.output.jobs,
        runs=rules.classify_runs.output.runs,
    output:
        **figure_files("concentration", category="1 Site", shows="share of energy by share of jobs"),
    pathvars:
        rule="plot_concentration",
    params:
        function="figures.concentration.plot",


use rule tabulate as tabulate_concentration with:
    """Tabulate the energy of the largest jobs and runs, and of jobs by duration."""
    input:
        jobs=rules.combine_energy.output.jobs,
        runs=rules.classify_runs.output.runs,
    output:
        **table_files("concentration", category="1 Site", shows="share of energy by share of jobs"),
    pathvars:
        rule="tabulate_concentration",
    params:
        function="tables.usage.concentration_table",


use rule tabulate as tabulate_evaluation with:
    """Tabulate assigned against true kinds, by energy and by count."""
    input:
        evaluation=rules.evaluate_phases.output.evaluation,
        accuracy=rules.evaluate_phases.output.accuracy,
    output:
        **table_files("evaluation", category="4 Phases", shows="kinds found against true kinds"),
    pathvars:
        rule="tabulate_evaluation",
    params:
        function="tables.phases.evaluation_table",
