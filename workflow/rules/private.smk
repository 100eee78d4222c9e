"""Who is behind the pseudonyms, for those who run the study; only with `privacy.reveal`.

REQUIRED INPUTS: jobs with logins, energies, estimates, papers, runs
OUTPUTS:
    private     private/{logins,levels,runs}.parquet    beside `results/`, never for publication

None of it is in the report.
"""


rule reveal_names:
    """The login behind each pseudonym, and levels and runs by real names."""
    input:
        jobs=rules.download_jobs.output.jobs,
        runs=rules.classify_runs.output.runs,
        papers=rules.match_labels.output.papers,
        job_energy=rules.gather_energy.output.jobs,
        job_nodes=rules.gather_energy.output.job_nodes,
        node_energy=rules.gather_energy.output.nodes,
        estimates=rules.estimate_energy.output.estimates,
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
        reveal=STUDY.reveal,
        simulated=STUDY.simulated,
    script:
        "../scripts/reveal_names.py"
