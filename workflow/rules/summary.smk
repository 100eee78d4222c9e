"""Summary of the study: carbon, conclusions in words, and tables of the whole study.

REQUIRED INPUTS: levels, energies of jobs and nodes, hardware, R of papers and projects
OUTPUTS:
    eco2mix     resources/<site>/eco2mix.parquet                           with `carbon.eco2mix`
    carbon      results/carbon.parquet                                     carbon by named factors
    summary     results/summary.md                                         conclusions in words
    opening     results/opening.html                                       conclusions in brief
    readme      results/README.md                                          for whom the results are
    tables      results/tables/{study_summary,hardware,carbon}.{csv,html,tex}
"""


rule read_eco2mix:
    """Read the carbon intensity of the study's hours, and count the rejected rows of its files."""
    input:
        files=STUDY.config["carbon"]["eco2mix"] or [],
    output:
        intensity="<resources>/<site>/eco2mix.parquet",
        rejected="<resources>/<site>/rejected/eco2mix.parquet",
    log:
        "<logs>/read_eco2mix.log",
    benchmark:
        "<benchmarks>/read_eco2mix.jsonl"
    priority: 1  # rejected rows are counted before long work
    conda:
        "../../envs/footprint.yaml"
    params:
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/read_eco2mix.py"


rule estimate_carbon:
    """Estimate the carbon of each level by named factors and, with a file, by hourly intensity."""
    input:
        levels=rules.build_levels.output.levels,
        job_energy=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        node_energy=rules.combine_energy.output.nodes,
        papers=rules.match_labels.output.papers,
        records=rules.download_jobs.output.jobs,
        eco2mix=branch(
            STUDY.config["carbon"]["eco2mix"],
            then=rules.read_eco2mix.output.intensity,
            otherwise=[],
        ),
    output:
        carbon="<results>/carbon.parquet",
    log:
        "<logs>/estimate_carbon.log",
    benchmark:
        "<benchmarks>/estimate_carbon.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        carbon=STUDY.config["carbon"],
        pue=STUDY.pue,
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/estimate_carbon.py"


rule write_summary:
    """Write the three conclusions with their limits and in brief, and sentences for appendices."""
    input:
        levels=rules.build_levels.output.levels,
        node_energy=rules.combine_energy.output.nodes,
        ratio=rules.compare_phases.output.ratio,
        sensitivities=rules.compare_phases.output.sensitivities,
        carbon=rules.estimate_carbon.output.carbon,
        rejected=rules.combine_energy.output.rejected,
        against_truth=branch(STUDY.has_truth, then=rules.check_totals.output.totals, otherwise=[]),
    output:
        summary="<results>/summary.md",
        opening="<results>/opening.html",  # start page of the report
        readme="<results>/README.md",
    log:
        "<logs>/write_summary.log",
    benchmark:
        "<benchmarks>/write_summary.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        start=STUDY.start,
        end=STUDY.end,
        simulated=STUDY.is_simulated,
        pue=STUDY.pue,
        factors=STUDY.config["carbon"]["factors"],
        provenance=PROVENANCE,
    script:
        "../scripts/write_summary.py"


use rule tabulate as tabulate_study with:
    """Tabulate the study as a whole."""
    input:
        levels=rules.build_levels.output.levels,
        node_energy=rules.combine_energy.output.nodes,
        ratio=rules.compare_phases.output.ratio,
    output:
        **table_files("study_summary", category="1 Site", shows="the study in numbers"),
    pathvars:
        rule="tabulate_study",
    params:
        function="tables.study.study_summary_table",


use rule tabulate as tabulate_hardware with:
    """Tabulate the hardware of the nodes and the power that was measured of them."""
    input:
        hardware=rules.look_up_hardware.output.hardware,
        node_power=collect(rules.measure_node_power.output.node_power, cluster=STUDY.clusters),
    output:
        **table_files("hardware", category="1 Site", shows="hardware of the nodes"),
    pathvars:
        rule="tabulate_hardware",
    params:
        function="tables.study.hardware_table",


use rule tabulate as tabulate_carbon with:
    """Tabulate the carbon of each level, with one column a factor."""
    input:
        carbon=rules.estimate_carbon.output.carbon,
    output:
        **table_files("carbon", category="2 Levels", shows="carbon by named factors"),
    pathvars:
        rule="tabulate_carbon",
    params:
        function="tables.study.carbon_table",
        pue=STUDY.pue,
        factors=STUDY.config["carbon"]["factors"],
        embodied=STUDY.config["carbon"]["embodied"],
