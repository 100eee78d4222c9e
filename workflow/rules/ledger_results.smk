"""What ledgers know and OAR does not, and the reverse; only with `labels.ledgers`.

REQUIRED INPUTS: what was tracked, energies of jobs
OUTPUTS:
    reconciliation  results/ledger.parquet
    table           results/tables/ledger.{csv,html,tex}
"""


rule reconcile_ledgers:
    """Runs of ledgers by what became of them, and jobs by whether they were tracked."""
    input:
        ledger=rules.match_ledgers.output.ledger,
        set_aside=rules.match_ledgers.output.set_aside,
        job_energy=rules.gather_energy.output.jobs,
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
        simulated=STUDY.simulated,
    script:
        "../scripts/reconcile_ledgers.py"


rule tabulate_ledgers:
    """The same for readers."""
    input:
        reconciliation=rules.reconcile_ledgers.output.reconciliation,
    output:
        html=report(
            "<results>/tables/ledger.html",
            caption="../report/ledger_table.rst",
            category="5 Quality",
            labels={"shows": "what was tracked and what OAR knows, table"},
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
