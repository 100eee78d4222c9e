"""Runs that people tracked, from the ledgers of `labels.ledgers`; only if there are any.

REQUIRED INPUTS: nodes, jobs and allocations of the download stage
OUTPUTS:
    ledger      resources/<site>/ledger.parquet                 all tracked runs
    tracked     resources/<site>/tracked.parquet                device energy by job and node
"""


rule match_ledgers:
    """Match tracked runs with jobs, and attribute the energy of their devices."""
    input:
        files=STUDY.files.ledgers,
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
        nodes=rules.download_nodes.output.nodes,
    output:
        ledger="<resources>/<site>/ledger.parquet",
        tracked="<resources>/<site>/tracked.parquet",
        rejected="<resources>/<site>/rejected/ledger.parquet",
    log:
        "<logs>/match_ledgers.log",
    benchmark:
        "<benchmarks>/match_ledgers.jsonl"
    priority: 1  # unusable lines are found before long work
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        unreadable=STUDY.unreadable_ledgers,
    script:
        "../scripts/match_ledgers.py"
