"""What model-based tools say of the same jobs.

REQUIRED INPUTS: nodes, jobs and allocations of the download stage, energies of jobs, and where
there are some, series of devices and what tools recorded
OUTPUTS:
    hardware    resources/<site>/hardware.parquet               TDP, limits and memory of each node
    recorded    resources/<site>/recorded.parquet               what tools recorded in jobs
    series      results/estimates/{gpu_power,cpu_series}/{cluster}.parquet
    estimates   results/estimates/jobs.parquet                  every job by every estimator
"""


rule look_up_hardware:
    """What the estimators need to know of each node, beside what its description says."""
    input:
        nodes=rules.download_nodes.output.nodes,
    output:
        hardware="<resources>/<site>/hardware.parquet",
        set_aside="<resources>/<site>/set_aside/hardware.parquet",
    log:
        "<logs>/look_up_hardware.log",
    benchmark:
        "<benchmarks>/look_up_hardware.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        clusters=STUDY.clusters,
        hardware=STUDY.hardware,
    script:
        "../scripts/look_up_hardware.py"


rule integrate_gpu_power:
    """Energy of the GPUs that jobs held on a cluster, by the GPUs' own readings."""
    input:
        gates=rules.build_gpu_gates.output.gates,
        devices=collect(
            rules.download_devices.output.devices, month=STUDY.months, allow_missing=True
        ),
    output:
        gpu_power="<results>/estimates/gpu_power/{cluster}.parquet",
    log:
        "<logs>/integrate_gpu_power/{cluster}.log",
    benchmark:
        "<benchmarks>/integrate_gpu_power/{cluster}.jsonl"
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=1000,
    params:
        start=STUDY.start,
        end=STUDY.end,
        node_pattern=STUDY.node_pattern,
    script:
        "../scripts/integrate_gpu_power.py"


rule integrate_cpu_series:
    """What the processors of a cluster did while jobs held them."""
    input:
        gates=rules.build_gates.output.gates,
        hardware=rules.look_up_hardware.output.hardware,
        load=collect(
            rules.download_series.output.series,
            series=STUDY.cpu_series["load"],
            month=STUDY.months,
            allow_missing=True,
        ),
        package=collect(
            rules.download_series.output.series,
            series=STUDY.cpu_series["package"],
            month=STUDY.months,
            allow_missing=True,
        ),
    output:
        cpu_series="<results>/estimates/cpu_series/{cluster}.parquet",
    log:
        "<logs>/integrate_cpu_series/{cluster}.log",
    benchmark:
        "<benchmarks>/integrate_cpu_series/{cluster}.jsonl"
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=1000,
    params:
        policy=STUDY.integration["gate"],
        start=STUDY.start,
        end=STUDY.end,
        node_pattern=STUDY.node_pattern,
    script:
        "../scripts/integrate_cpu_series.py"


rule match_recorded:
    """What tools recorded in jobs, by job, and what of it cannot be used."""
    input:
        files=STUDY.files.recorded,
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
        nodes=rules.download_nodes.output.nodes,
    output:
        recorded="<resources>/<site>/recorded.parquet",
        set_aside="<resources>/<site>/set_aside/recorded.parquet",
    log:
        "<logs>/match_recorded.log",
    benchmark:
        "<benchmarks>/match_recorded.jsonl"
    priority: 1  # what cannot be read is counted before long work
    conda:
        "../../envs/footprint.yaml"
    params:
        folder=STUDY.recorded_folder,
        unreadable=STUDY.unreadable_records,
    script:
        "../scripts/match_recorded.py"


rule estimate_energy:
    """What each estimator says of each job."""
    input:
        job_energy=rules.gather_energy.output.jobs,
        job_nodes=rules.gather_energy.output.job_nodes,
        hardware=rules.look_up_hardware.output.hardware,
        records=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
        nodes=rules.download_nodes.output.nodes,
        gpu_power=branch(
            STUDY.has_gpu_power,
            then=collect(rules.integrate_gpu_power.output.gpu_power, cluster=STUDY.clusters),
            otherwise=[],
        ),
        cpu_series=branch(
            STUDY.has_cpu_series,
            then=collect(rules.integrate_cpu_series.output.cpu_series, cluster=STUDY.clusters),
            otherwise=[],
        ),
        recorded=branch(STUDY.has_records, then=rules.match_recorded.output.recorded, otherwise=[]),
        tracked=branch(STUDY.has_ledgers, then=rules.match_ledgers.output.tracked, otherwise=[]),
    output:
        estimates="<results>/estimates/jobs.parquet",
    log:
        "<logs>/estimate_energy.log",
    benchmark:
        "<benchmarks>/estimate_energy.jsonl"
    conda:
        "../../envs/footprint.yaml"
    threads: 2
    resources:
        mem_mb=2000,
    params:
        estimators=STUDY.estimators,
    script:
        "../scripts/estimate_energy.py"
