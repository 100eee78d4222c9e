"""From jobs to runs, and from runs to development, training and inference.

REQUIRED INPUTS: jobs, power and series of the download stage, allocations and energies of jobs
OUTPUTS:
    run_of_job  resources/<site>/run_of_job.parquet             run of each job
    labels      resources/<site>/{single,group}_labels.parquet  labels of each job, and of groups
    labels      resources/<site>/labels.parquet                 labels that hold (classify_runs)
    groups      results/phases/group_runs.parquet               runs of labelled groups
    levels      results/phases/power_histograms/{cluster}.parquet   power histograms of jobs
    runs        results/phases/{runs,jobs}.parquet              kind, role and phase of each run
    papers      resources/<site>/papers.parquet                 paper of each job
    features    results/phases/features.parquet                 features of each run
"""


rule merge_runs:
    """Merge chains of resumed jobs into runs, and arrays where `runs.arrays` is `together`."""
    input:
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
    output:
        run_of_job="<resources>/<site>/run_of_job.parquet",
    log:
        "<logs>/merge_runs.log",
    benchmark:
        "<benchmarks>/merge_runs.jsonl"
    priority: 1  # contradicting labels of a run are found before long work
    conda:
        "../../envs/footprint.yaml"
    params:
        gap_h=STUDY.phases["runs"]["gap_h"],
        arrays=STUDY.phases["runs"]["arrays"],
        node_pattern=STUDY.node_pattern,
    script:
        "../scripts/merge_runs.py"


rule measure_power_histograms:
    """Measure power histograms of the nodes and GPUs that jobs of a cluster held."""
    input:
        node_allocations=rules.build_allocations.output.node_allocations,
        node_power=rules.measure_node_power.output.node_power,
        power=collect(rules.download_power.output.power, month=STUDY.months, allow_missing=True),
        hardware=rules.look_up_hardware.output.hardware,
        gpu_allocations=branch(
            STUDY.has_gpu_power,
            then=rules.build_allocations.output.gpu_allocations,
            otherwise=[],
        ),
        devices=branch(
            STUDY.has_gpu_power,
            then=collect(
                rules.download_devices.output.devices, month=STUDY.months, allow_missing=True
            ),
            otherwise=[],
        ),
    output:
        power_histograms="<results>/phases/power_histograms/{cluster}.parquet",
    log:
        "<logs>/measure_power_histograms/{cluster}.log",
    benchmark:
        "<benchmarks>/measure_power_histograms/{cluster}.jsonl"
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=800 + 50 * len(STUDY.months),  # a node's samples of the whole study
    params:
        integration=STUDY.integration,
    script:
        "../scripts/measure_power_histograms.py"


rule match_labels:
    """Match labels with jobs and their runs, and list the paper of each labelled job."""
    input:
        jobs=rules.download_jobs.output.jobs,
        run_of_job=rules.merge_runs.output.run_of_job,
        labels=STUDY.config["labels"]["files"],
        ledger=branch(STUDY.has_ledgers, then=[rules.match_ledgers.output.ledger], otherwise=[]),
    output:
        papers="<resources>/<site>/papers.parquet",
        labels="<resources>/<site>/single_labels.parquet",
        group_labels="<resources>/<site>/group_labels.parquet",
        rejected="<resources>/<site>/rejected/labels.parquet",
    log:
        "<logs>/match_labels.log",
    benchmark:
        "<benchmarks>/match_labels.jsonl"
    priority: 1  # contradicting labels are found before long work
    conda:
        "../../envs/footprint.yaml"
    script:
        "../scripts/match_labels.py"


rule extract_features:
    """Collect features of runs: OAR's record, words, neighbours, energy, power histograms."""
    input:
        jobs=rules.download_jobs.output.jobs,
        run_of_job=rules.merge_runs.output.run_of_job,
        job_energy=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        power_histograms=collect(
            rules.measure_power_histograms.output.power_histograms, cluster=STUDY.clusters
        ),
    output:
        features="<results>/phases/features.parquet",
    log:
        "<logs>/extract_features.log",
    benchmark:
        "<benchmarks>/extract_features.jsonl"
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=2000,
    params:
        tokens=STUDY.phases["tokens"],
        thresholds=STUDY.phases["thresholds"],
    script:
        "../scripts/extract_features.py"


rule classify_runs:
    """Classify runs: kind, role and phase of each with their reasons, and the run of each job."""
    input:
        features=rules.extract_features.output.features,
        run_of_job=rules.merge_runs.output.run_of_job,
        job_energy=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        virtual_meter=rules.fit_virtual_meter.output.virtual_meter,
        labels=rules.match_labels.output.labels,
        group_labels=rules.match_labels.output.group_labels,
        records=rules.download_jobs.output.jobs,
    output:
        runs="<results>/phases/runs.parquet",
        jobs="<results>/phases/jobs.parquet",
        labels="<resources>/<site>/labels.parquet",
        group_runs="<results>/phases/group_runs.parquet",
    log:
        "<logs>/classify_runs.log",
    benchmark:
        "<benchmarks>/classify_runs.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        thresholds=STUDY.phases["thresholds"],
        meters=STUDY.meters,
    script:
        "../scripts/classify_runs.py"
