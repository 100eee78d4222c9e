"""Logins behind the pseudonyms, for those who run the study; only with `privacy.reveal`.

REQUIRED INPUTS: jobs with logins, energies, estimates, papers, runs
OUTPUTS:
    private     private/{logins,levels,runs}.parquet    beside `results/`, never for publication

The report contains none of these tables.
"""


rule reveal_names:
    """Write the login of each pseudonym, and levels and runs by real names."""
    input:
        jobs=rules.download_jobs.output.jobs,
        runs=rules.classify_runs.output.runs,
        papers=rules.match_labels.output.papers,
        job_energy=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        node_energy=rules.combine_energy.output.nodes,
        estimates=rules.estimate_energy.output.estimates,
        virtual_meter=rules.fit_virtual_meter.output.virtual_meter,
    output:
        logins="private/logins.parquet",
        levels="private/levels.parquet",
        runs="private/runs.parquet",
    log:
        "<logs>/reveal_names.log",
    benchmark:
        "<benchmarks>/reveal_names.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        levels=STUDY.config["levels"],
        privacy=STUDY.privacy,
        reveal=STUDY.reveals_logins,
        meters=STUDY.meters,
        simulated=STUDY.is_simulated,
    script:
        "../scripts/reveal_names.py"
