"""The study in words: its carbon, its conclusions, and the tables of the whole.

REQUIRED INPUTS: levels, energies of jobs and nodes, hardware, development beside training
OUTPUTS:
    eco2mix     resources/<site>/eco2mix.parquet                           where a file is named
    carbon      results/carbon.parquet                                     carbon by named factors
    summary     results/summary.md                                         conclusions in words
    opening     results/opening.html                                       the same in brief
    tables      results/tables/{study_summary,hardware,carbon}.{csv,html,tex}
"""


rule read_eco2mix:
    """Carbon intensity of the study's hours, and what of its file cannot be used."""
    input:
        file=STUDY.config["carbon"]["eco2mix"] or [],
    output:
        intensity="<resources>/<site>/eco2mix.parquet",
        set_aside="<resources>/<site>/set_aside/eco2mix.parquet",
    log:
        "<logs>/read_eco2mix.log",
    benchmark:
        "<benchmarks>/read_eco2mix.jsonl"
    priority: 1  # what cannot be used is counted before long work
    conda:
        "../../envs/footprint.yaml"
    params:
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/read_eco2mix.py"


rule estimate_carbon:
    """Carbon of each level by named factors, and by the jobs' own hours where a file has them."""
    input:
        levels=rules.build_levels.output.levels,
        job_energy=rules.gather_energy.output.jobs,
        job_nodes=rules.gather_energy.output.job_nodes,
        node_energy=rules.gather_energy.output.nodes,
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
    """The three conclusions with this study's numbers, what they leave out, an appendix's sentence."""
    input:
        levels=rules.build_levels.output.levels,
        node_energy=rules.gather_energy.output.nodes,
        ratio=rules.compare_phases.output.ratio,
        carbon=rules.estimate_carbon.output.carbon,
        set_aside=rules.gather_energy.output.set_aside,
    output:
        summary="<results>/summary.md",
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
        simulated=STUDY.simulated,
        pue=STUDY.pue,
        factors=STUDY.config["carbon"]["factors"],
        provenance=PROVENANCE,
    script:
        "../scripts/write_summary.py"


rule tabulate_study:
    """The study in numbers: nodes, where their energy went, who used it, what for; and in brief."""
    input:
        levels=rules.build_levels.output.levels,
        node_energy=rules.gather_energy.output.nodes,
        ratio=rules.compare_phases.output.ratio,
    output:
        html=report(
            "<results>/tables/study_summary.html",
            caption="../report/study_summary.rst",
            category="1 Site",
            labels={"shows": "the study in numbers, table"},
        ),
        csv="<results>/tables/study_summary.csv",
        tex="<results>/tables/study_summary.tex",
        opening="<results>/opening.html",  # what the report opens on
    log:
        "<logs>/tabulate_study.log",
    benchmark:
        "<benchmarks>/tabulate_study.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        simulated=STUDY.simulated,
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_study.py"


rule tabulate_hardware:
    """What the nodes are made of, and the power that they were seen at."""
    input:
        hardware=rules.look_up_hardware.output.hardware,
        node_power=collect(rules.measure_node_power.output.node_power, cluster=STUDY.clusters),
    output:
        html=report(
            "<results>/tables/hardware.html",
            caption="../report/hardware.rst",
            category="1 Site",
            labels={"shows": "hardware of the nodes, table"},
        ),
        csv="<results>/tables/hardware.csv",
        tex="<results>/tables/hardware.tex",
    log:
        "<logs>/tabulate_hardware.log",
    benchmark:
        "<benchmarks>/tabulate_hardware.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_hardware.py"


rule tabulate_carbon:
    """Carbon of each level, a column a factor."""
    input:
        carbon=rules.estimate_carbon.output.carbon,
    output:
        html=report(
            "<results>/tables/carbon.html",
            caption="../report/carbon.rst",
            category="2 Levels",
            labels={"shows": "carbon by named factors, table"},
        ),
        csv="<results>/tables/carbon.csv",
        tex="<results>/tables/carbon.tex",
    log:
        "<logs>/tabulate_carbon.log",
    benchmark:
        "<benchmarks>/tabulate_carbon.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        pue=STUDY.pue,
        carbon=STUDY.config["carbon"],
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_carbon.py"
