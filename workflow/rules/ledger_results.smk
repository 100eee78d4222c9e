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


use rule tabulate as tabulate_ledgers with:
    """Tabulate the reconciliation of tracked runs with jobs."""
    input:
        reconciliation=rules.reconcile_ledgers.output.reconciliation,
    output:
        **table_files("ledger", category="5 Quality", shows="tracked runs against OAR's jobs"),
    pathvars:
        rule="tabulate_ledgers",
    params:
        function="tables.ledger.ledger_table",
