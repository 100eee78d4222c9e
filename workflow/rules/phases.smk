"""From jobs to runs, and from runs to development, training and inference.

REQUIRED INPUTS: jobs, power and series of the download stage, gates and energies of jobs
OUTPUTS:
    run_of_job  resources/<site>/run_of_job.parquet             which jobs are one run
    labelled    resources/<site>/labelled.parquet               what labels say (rule match_labels)
    levels      results/phases/power_levels/{cluster}.parquet   how long power stood at which level
    runs        results/phases/{runs,jobs}.parquet              kind, role and phase of each run
    papers      resources/<site>/papers.parquet                 which job is whose paper's
    evidence    results/phases/evidence.parquet                 what kinds are decided from
"""


rule merge_runs:
    """Which jobs are one run: chains of resumed jobs, and lines of arrays where that is asked."""
    input:
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
    output:
        run_of_job="<resources>/<site>/run_of_job.parquet",
    log:
        "<logs>/merge_runs.log",
    benchmark:
        "<benchmarks>/merge_runs.jsonl"
    priority: 1  # labels are matched with runs, and contradicting ones found before long work
    conda:
        "../../envs/footprint.yaml"
    params:
        gap_h=STUDY.phases["runs"]["gap_h"],
        arrays=STUDY.phases["runs"]["arrays"],
        node_pattern=STUDY.node_pattern,
    script:
        "../scripts/merge_runs.py"


rule measure_power_levels:
    """How long the nodes and GPUs that jobs of a cluster held stood at which level of power."""
    input:
        gates=rules.build_gates.output.gates,
        node_power=rules.measure_node_power.output.node_power,
        power=collect(rules.download_power.output.power, month=STUDY.months, allow_missing=True),
        hardware=rules.look_up_hardware.output.hardware,
        gpu_gates=branch(STUDY.has_gpu_power, then=rules.build_gpu_gates.output.gates, otherwise=[]),
        devices=branch(
            STUDY.has_gpu_power,
            then=collect(
                rules.download_devices.output.devices, month=STUDY.months, allow_missing=True
            ),
            otherwise=[],
        ),
    output:
        power_levels="<results>/phases/power_levels/{cluster}.parquet",
    log:
        "<logs>/measure_power_levels/{cluster}.log",
    benchmark:
        "<benchmarks>/measure_power_levels/{cluster}.jsonl"
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=800 + 50 * len(STUDY.months),  # a node's samples of the whole study
    params:
        integration=STUDY.integration,
    script:
        "../scripts/measure_power_levels.py"


rule match_labels:
    """What labels say of each job and its run, and the paper of each job that has one."""
    input:
        jobs=rules.download_jobs.output.jobs,
        run_of_job=rules.merge_runs.output.run_of_job,
        labels=STUDY.config["labels"]["files"],
        ledger=branch(STUDY.has_ledgers, then=[rules.match_ledgers.output.ledger], otherwise=[]),
    output:
        papers="<resources>/<site>/papers.parquet",
        labelled="<resources>/<site>/labelled.parquet",
    log:
        "<logs>/match_labels.log",
    benchmark:
        "<benchmarks>/match_labels.jsonl"
    priority: 1  # contradicting labels are found before long work
    conda:
        "../../envs/footprint.yaml"
    script:
        "../scripts/match_labels.py"


rule gather_evidence:
    """What is known of each run: OAR's record, words, neighbours, energy, levels of power."""
    input:
        jobs=rules.download_jobs.output.jobs,
        run_of_job=rules.merge_runs.output.run_of_job,
        job_energy=rules.gather_energy.output.jobs,
        job_nodes=rules.gather_energy.output.job_nodes,
        power_levels=collect(rules.measure_power_levels.output.power_levels, cluster=STUDY.clusters),
    output:
        evidence="<results>/phases/evidence.parquet",
    log:
        "<logs>/gather_evidence.log",
    benchmark:
        "<benchmarks>/gather_evidence.jsonl"
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=2000,
    params:
        tokens=STUDY.phases["tokens"],
        thresholds=STUDY.phases["thresholds"],
    script:
        "../scripts/gather_evidence.py"


rule classify_runs:
    """What each run was, what it was for, and why that is thought; the run of each job."""
    input:
        evidence=rules.gather_evidence.output.evidence,
        run_of_job=rules.merge_runs.output.run_of_job,
        job_energy=rules.gather_energy.output.jobs,
        labelled=rules.match_labels.output.labelled,
    output:
        runs="<results>/phases/runs.parquet",
        jobs="<results>/phases/jobs.parquet",
    log:
        "<logs>/classify_runs.log",
    benchmark:
        "<benchmarks>/classify_runs.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        thresholds=STUDY.phases["thresholds"],
    script:
        "../scripts/classify_runs.py"
