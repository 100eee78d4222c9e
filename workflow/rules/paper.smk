"""From energies to levels, with figures and tables.

REQUIRED INPUTS: jobs and power of the download stage, all outputs of the energy stage
OUTPUTS:
    levels      results/levels.parquet
    budget      results/energy/uncertainty.parquet      sources of uncertainty
    figures     results/figures/{name}.{pdf,svg,png}
    tables      results/tables/{name}.{csv,html,tex}

The figure and the table of the simulation check exist only for the simulated site.
"""


rule build_levels:
    """Sum energy at each level by each method: site, overhead, queue, project, user, paper."""
    input:
        papers=rules.match_labels.output.papers,
        job_energy=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        node_energy=rules.combine_energy.output.nodes,
        estimates=rules.estimate_energy.output.estimates,
        virtual_meter=rules.fit_virtual_meter.output.virtual_meter,
    output:
        levels="<results>/levels.parquet",
    log:
        "<logs>/build_levels.log",
    benchmark:
        "<benchmarks>/build_levels.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        levels=STUDY.config["levels"],
        privacy=STUDY.privacy,
        simulated=STUDY.is_simulated,
        meters=STUDY.meters,
    script:
        "../scripts/build_levels.py"


rule budget_uncertainty:
    """List the sources of uncertainty of the energy of the site and of each shown paper."""
    input:
        levels=rules.build_levels.output.levels,
        papers=rules.match_labels.output.papers,
        job_energy=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        virtual_meter=rules.fit_virtual_meter.output.virtual_meter,
    output:
        uncertainty="<results>/energy/uncertainty.parquet",
    log:
        "<logs>/budget_uncertainty.log",
    benchmark:
        "<benchmarks>/budget_uncertainty.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        meters=STUDY.meters,
    script:
        "../scripts/budget_uncertainty.py"


use rule draw as plot_uncertainty with:
    """Draw the share of each source in the uncertainty of the site and of each paper."""
    input:
        uncertainty=rules.budget_uncertainty.output.uncertainty,
        levels=rules.build_levels.output.levels,
    output:
        **figure_files("uncertainty", category="2 Levels", shows="sources of uncertainty"),
    pathvars:
        rule="plot_uncertainty",
    params:
        function="figures.uncertainty.plot",


use rule tabulate as tabulate_uncertainty with:
    """Tabulate the uncertainty budget of the site and of each paper."""
    input:
        uncertainty=rules.budget_uncertainty.output.uncertainty,
    output:
        **table_files("uncertainty", category="2 Levels", shows="sources of uncertainty"),
    pathvars:
        rule="tabulate_uncertainty",
    params:
        function="tables.uncertainty.uncertainty_table",


use rule tabulate as tabulate_virtual_meter with:
    """Tabulate estimated against measured energy of each cluster, leaving it out."""
    input:
        virtual_meter=rules.fit_virtual_meter.output.virtual_meter,
    output:
        **table_files(
            "virtual_meter", category="5 Quality", shows="estimates, leaving a cluster out"
        ),
    pathvars:
        rule="tabulate_virtual_meter",
    params:
        function="tables.uncertainty.virtual_meter_table",


use rule draw as plot_energy_by_class with:
    """Draw energy and time of the nodes by cluster and class."""
    input:
        node_energy=rules.combine_energy.output.nodes,
    output:
        **figure_files(
            "energy_by_class",
            category="1 Site",
            shows="energy by class and cluster",
            has_column=True,
        ),
    pathvars:
        rule="plot_energy_by_class",
    params:
        function="figures.energy_by_class.plot",
        site=STUDY.site,


use rule draw as plot_energy_over_time with:
    """Draw energy and time of the nodes by class, for each day, week or month."""
    input:
        node_energy=rules.combine_energy.output.nodes,
    output:
        **figure_files(
            "energy_over_time",
            category="1 Site",
            shows="energy by class over time",
            has_column=True,
        ),
    pathvars:
        rule="plot_energy_over_time",
    params:
        function="figures.energy_over_time.plot",
        site=STUDY.site,
        start=STUDY.start,
        end=STUDY.end,


use rule tabulate as tabulate_energy_over_time with:
    """Tabulate energy by class for each day, week or month."""
    input:
        node_energy=rules.combine_energy.output.nodes,
    output:
        **table_files("energy_over_time", category="1 Site", shows="energy by class over time"),
    pathvars:
        rule="tabulate_energy_over_time",
    params:
        function="tables.usage.energy_over_time_table",
        start=STUDY.start,
        end=STUDY.end,


use rule tabulate as tabulate_energy_by_class with:
    """Tabulate energy by cluster and class."""
    input:
        node_energy=rules.combine_energy.output.nodes,
    output:
        **table_files("energy_by_class", category="1 Site", shows="energy by class and cluster"),
    pathvars:
        rule="tabulate_energy_by_class",
    params:
        function="tables.energy.energy_by_class_table",


use rule draw as plot_node_week with:
    """Draw the busiest week of the busiest node, with the jobs that held it."""
    input:
        node_energy=rules.combine_energy.output.nodes,
        node_allocations=rules.build_allocations.output.node_allocations,
        runs=rules.classify_runs.output.runs,
        power=collect(rules.download_power.output.power, cluster=STUDY.clusters, month=STUDY.months),
    output:
        **figure_files("node_week", category="1 Site", shows="a week of a node"),
    pathvars:
        rule="plot_node_week",
    params:
        function="figures.node_week.plot_busiest_week",
        max_gap_s=STUDY.integration["max_gap_s"],


use rule draw as plot_levels with:
    """Draw energy at each level, with its interval and coverage."""
    input:
        levels=rules.build_levels.output.levels,
    output:
        **figure_files("levels", category="2 Levels", shows="energy by level"),
    pathvars:
        rule="plot_levels",
    params:
        function="figures.levels.plot",


use rule tabulate as tabulate_levels with:
    """Tabulate energy at each level."""
    input:
        levels=rules.build_levels.output.levels,
    output:
        **table_files("levels", category="2 Levels", shows="energy by level"),
    pathvars:
        rule="tabulate_levels",
    params:
        function="tables.energy.levels_table",
        redistribution=STUDY.config["levels"]["redistribution"],


use rule tabulate as tabulate_quality with:
    """Tabulate power readings and rejected rows."""
    input:
        quality=rules.combine_energy.output.quality,
        rejected=rules.combine_energy.output.rejected,
        nodes=rules.download_nodes.output.nodes,
    output:
        **table_files("quality", category="5 Quality", shows="power readings"),
    pathvars:
        rule="tabulate_quality",
    params:
        function="tables.energy.quality_table",
        metric=STUDY.metric,


use rule draw as plot_simulation_check with:
    """Draw errors of measured energies, and the intervals that contain the true energy."""
    input:
        jobs=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        truth=rules.download_truth.output.truth,
        check=rules.check_simulation.output.check,
    output:
        **figure_files("simulation_check", category="5 Quality", shows="jobs against the truth"),
    pathvars:
        rule="plot_simulation_check",
    params:
        function="figures.simulation_check.plot_comparison",
        site=STUDY.site,
        source=STUDY.source,


use rule tabulate as tabulate_simulation_check with:
    """Tabulate energies of jobs against the truth, by the step of the sensors."""
    input:
        check=rules.check_simulation.output.check,
    output:
        **table_files("simulation_check", category="5 Quality", shows="jobs against the truth"),
    pathvars:
        rule="tabulate_simulation_check",
    params:
        function="tables.energy.simulation_check_table",
