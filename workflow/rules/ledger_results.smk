"""Tracked runs against OAR's jobs; only with `labels.ledgers`.

REQUIRED INPUTS: tracked runs, energies of jobs
OUTPUTS:
    reconciliation  results/ledger.parquet
    table           results/tables/ledger.{csv,html,tex}
"""


rule reconcile_ledgers:
    """Reconcile tracked runs with jobs: runs by outcome, and jobs by whether they were tracked."""
    input:
        ledger=rules.match_ledgers.output.ledger,
        rejected=rules.match_ledgers.output.rejected,
        job_energy=rules.combine_energy.output.jobs,
    output:
        reconciliation="<results>/ledger.parquet",
    log:
        "<logs>/reconcile_ledgers.log",
    benchmark:
        "<benchmarks>/reconcile_ledgers.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        users=STUDY.config["levels"]["users"],
        privacy=STUDY.privacy,
        simulated=STUDY.is_simulated,
    script:
        "../scripts/reconcile_ledgers.py"


rule tabulate_ledgers:
    """Tabulate the reconciliation of tracked runs with jobs."""
    input:
        reconciliation=rules.reconcile_ledgers.output.reconciliation,
    output:
        html=report(
            "<results>/tables/ledger.html",
            caption="../report/ledger_table.rst",
            category="5 Quality",
            labels={"shows": "tracked runs against OAR's jobs, table"},
        ),
        csv="<results>/tables/ledger.csv",
        tex="<results>/tables/ledger.tex",
    log:
        "<logs>/tabulate_ledgers.log",
    benchmark:
        "<benchmarks>/tabulate_ledgers.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_ledgers.py"
