"""What people tracked themselves, by the ledgers of `labels.ledgers`; without any, nothing runs.

REQUIRED INPUTS: nodes, jobs and allocations of the download stage
OUTPUTS:
    ledger      resources/<site>/ledger.parquet                 everything that was tracked
    tracked     resources/<site>/tracked.parquet                device energy by job and node
"""


rule match_ledgers:
    """What people tracked, with its jobs and the energy of its devices."""
    input:
        files=STUDY.files.ledgers,
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
        nodes=rules.download_nodes.output.nodes,
    output:
        ledger="<resources>/<site>/ledger.parquet",
        tracked="<resources>/<site>/tracked.parquet",
        set_aside="<resources>/<site>/set_aside/ledger.parquet",
    log:
        "<logs>/match_ledgers.log",
    benchmark:
        "<benchmarks>/match_ledgers.jsonl"
    priority: 1  # lines that cannot be used are found before long work
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        unreadable=STUDY.unreadable_ledgers,
    script:
        "../scripts/match_ledgers.py"
