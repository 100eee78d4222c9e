"""Energies by samples of power against energy counters; only where the source has both.

REQUIRED INPUTS: converted readings, allocations of nodes, energies of jobs by node
OUTPUTS:
    compared    results/validation/against_counters.parquet
    table       results/tables/counters.{csv,html,tex}
"""


rule compare_counters:
    """Compare the energy of each job on each node with the node's energy counter."""
    input:
        converted=rules.convert_power.output.converted,
        nodes=STUDY.files.nodes,
        allocations=rules.build_allocations.output.node_allocations,
        job_nodes=rules.combine_energy.output.job_nodes,
    output:
        compared="<results>/validation/against_counters.parquet",
    log:
        "<logs>/compare_counters.log",
    benchmark:
        "<benchmarks>/compare_counters.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        source=STUDY.source,
        metric=STUDY.metric,
        clusters=STUDY.clusters,
        start=STUDY.start,
        end=STUDY.end,
        max_gap_s=STUDY.integration["max_gap_s"],
    script:
        "../scripts/compare_counters.py"


use rule tabulate as tabulate_counters with:
    """Tabulate the ratio of measured energies to energy counters: median and spread."""
    input:
        compared=rules.compare_counters.output.compared,
    output:
        **table_files("counters", category="5 Quality", shows="energies against counters"),
    pathvars:
        rule="tabulate_counters",
    params:
        function="tables.counters.counters_table",
