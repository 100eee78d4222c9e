"""From energies to levels, with figures and tables.

REQUIRED INPUTS: jobs and power of the download stage, all outputs of the energy stage
OUTPUTS:
    levels      results/levels.parquet
    figures     results/figures/{name}.{pdf,svg,png}
    tables      results/tables/{name}.{csv,html,tex}

The figure and the table of the simulation check exist only for the simulated site.
"""


report: "../report/workflow.rst"


PROVENANCE = describe_study(STUDY.config)


rule build_levels:
    """Sum energy at each level by each method: site, overhead, queue, project, user, paper."""
    input:
        papers=rules.match_labels.output.papers,
        job_energy=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        node_energy=rules.combine_energy.output.nodes,
        estimates=rules.estimate_energy.output.estimates,
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
    script:
        "../scripts/build_levels.py"


rule plot_energy_by_class:
    """Draw energy and time of the nodes by cluster and class."""
    input:
        node_energy=rules.combine_energy.output.nodes,
    output:
        svg=report(
            "<results>/figures/energy_by_class.svg",
            caption="../report/energy_by_class.rst",
            category="1 Site",
            labels={"shows": "energy by class and cluster, figure"},
        ),
        pdf="<results>/figures/energy_by_class.pdf",
        png="<results>/figures/energy_by_class.png",
    log:
        "<logs>/plot_energy_by_class.log",
    benchmark:
        "<benchmarks>/plot_energy_by_class.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        provenance=PROVENANCE,
    script:
        "../scripts/plot_energy_by_class.py"


rule plot_energy_over_time:
    """Draw energy and time of the nodes by class, for each day, week or month."""
    input:
        node_energy=rules.combine_energy.output.nodes,
    output:
        svg=report(
            "<results>/figures/energy_over_time.svg",
            caption="../report/energy_over_time.rst",
            category="1 Site",
            labels={"shows": "energy by class over time, figure"},
        ),
        pdf="<results>/figures/energy_over_time.pdf",
        png="<results>/figures/energy_over_time.png",
    log:
        "<logs>/plot_energy_over_time.log",
    benchmark:
        "<benchmarks>/plot_energy_over_time.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        start=STUDY.start,
        end=STUDY.end,
        provenance=PROVENANCE,
    script:
        "../scripts/plot_energy_over_time.py"


rule tabulate_energy_over_time:
    """Tabulate energy by class for each day, week or month."""
    input:
        node_energy=rules.combine_energy.output.nodes,
    output:
        html=report(
            "<results>/tables/energy_over_time.html",
            caption="../report/energy_over_time_table.rst",
            category="1 Site",
            labels={"shows": "energy by class over time, table"},
        ),
        csv="<results>/tables/energy_over_time.csv",
        tex="<results>/tables/energy_over_time.tex",
    log:
        "<logs>/tabulate_energy_over_time.log",
    benchmark:
        "<benchmarks>/tabulate_energy_over_time.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        start=STUDY.start,
        end=STUDY.end,
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_energy_over_time.py"


rule tabulate_energy_by_class:
    """Tabulate energy by cluster and class."""
    input:
        node_energy=rules.combine_energy.output.nodes,
    output:
        html=report(
            "<results>/tables/energy_by_class.html",
            caption="../report/energy_by_class_table.rst",
            category="1 Site",
            labels={"shows": "energy by class and cluster, table"},
        ),
        csv="<results>/tables/energy_by_class.csv",
        tex="<results>/tables/energy_by_class.tex",
    log:
        "<logs>/tabulate_energy_by_class.log",
    benchmark:
        "<benchmarks>/tabulate_energy_by_class.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_energy_by_class.py"


rule plot_node_week:
    """Draw the busiest week of the busiest node, with the jobs that held it."""
    input:
        node_energy=rules.combine_energy.output.nodes,
        node_allocations=rules.build_node_allocations.output.node_allocations,
        power=collect(rules.download_power.output.power, cluster=STUDY.clusters, month=STUDY.months),
    output:
        svg=report(
            "<results>/figures/node_week.svg",
            caption="../report/node_week.rst",
            category="1 Site",
            labels={"shows": "a week of a node, figure"},
        ),
        pdf="<results>/figures/node_week.pdf",
        png="<results>/figures/node_week.png",
    log:
        "<logs>/plot_node_week.log",
    benchmark:
        "<benchmarks>/plot_node_week.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        max_gap_s=STUDY.integration["max_gap_s"],
        provenance=PROVENANCE,
    script:
        "../scripts/plot_node_week.py"


rule plot_levels:
    """Draw energy at each level, with its interval and coverage."""
    input:
        levels=rules.build_levels.output.levels,
    output:
        svg=report(
            "<results>/figures/levels.svg",
            caption="../report/levels.rst",
            category="2 Levels",
            labels={"shows": "energy by level, figure"},
        ),
        pdf="<results>/figures/levels.pdf",
        png="<results>/figures/levels.png",
    log:
        "<logs>/plot_levels.log",
    benchmark:
        "<benchmarks>/plot_levels.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/plot_levels.py"


rule tabulate_levels:
    """Tabulate energy at each level."""
    input:
        levels=rules.build_levels.output.levels,
    output:
        html=report(
            "<results>/tables/levels.html",
            caption="../report/levels_table.rst",
            category="2 Levels",
            labels={"shows": "energy by level, table"},
        ),
        csv="<results>/tables/levels.csv",
        tex="<results>/tables/levels.tex",
    log:
        "<logs>/tabulate_levels.log",
    benchmark:
        "<benchmarks>/tabulate_levels.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        redistribution=STUDY.config["levels"]["redistribution"],
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_levels.py"


rule tabulate_quality:
    """Tabulate power readings and rejected rows."""
    input:
        quality=rules.combine_energy.output.quality,
        rejected=rules.combine_energy.output.rejected,
        nodes=rules.download_nodes.output.nodes,
    output:
        html=report(
            "<results>/tables/quality.html",
            caption="../report/quality_table.rst",
            category="5 Quality",
            labels={"shows": "power readings, table"},
        ),
        csv="<results>/tables/quality.csv",
        tex="<results>/tables/quality.tex",
    log:
        "<logs>/tabulate_quality.log",
    benchmark:
        "<benchmarks>/tabulate_quality.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
        metric=STUDY.metric,
    script:
        "../scripts/tabulate_quality.py"


rule plot_simulation_check:
    """Draw measured against true energy of each job of the simulated site."""
    input:
        jobs=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        truth=rules.download_truth.output.truth,
        check=rules.check_simulation.output.check,
    output:
        svg=report(
            "<results>/figures/simulation_check.svg",
            caption="../report/simulation_check.rst",
            category="5 Quality",
            labels={"shows": "measured against true energy, figure"},
        ),
        pdf="<results>/figures/simulation_check.pdf",
        png="<results>/figures/simulation_check.png",
    log:
        "<logs>/plot_simulation_check.log",
    benchmark:
        "<benchmarks>/plot_simulation_check.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        source=STUDY.source,
        provenance=PROVENANCE,
    script:
        "../scripts/plot_simulation_check.py"


rule tabulate_simulation_check:
    """Tabulate measured against true energy, by the step of the sensors."""
    input:
        check=rules.check_simulation.output.check,
    output:
        html=report(
            "<results>/tables/simulation_check.html",
            caption="../report/simulation_check_table.rst",
            category="5 Quality",
            labels={"shows": "measured against true energy, table"},
        ),
        csv="<results>/tables/simulation_check.csv",
        tex="<results>/tables/simulation_check.tex",
    log:
        "<logs>/tabulate_simulation_check.log",
    benchmark:
        "<benchmarks>/tabulate_simulation_check.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_simulation_check.py"
