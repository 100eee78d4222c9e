"""Estimates of the jobs' energy by model-based tools.

REQUIRED INPUTS: nodes, jobs and allocations of the download stage, energies of jobs, and
optional series of devices and records of tools
OUTPUTS:
    hardware    resources/<site>/hardware.parquet               TDP, limits and memory of each node
    recorded    resources/<site>/recorded.parquet               energies that tools recorded in jobs
    series      results/estimates/{gpu_power,cpu_series}/{cluster}.parquet
    estimates   results/estimates/jobs.parquet                  energy of each job by each estimator
"""


rule look_up_hardware:
    """Look up the hardware data of each node that estimators need and descriptions lack."""
    input:
        nodes=rules.download_nodes.output.nodes,
    output:
        hardware="<resources>/<site>/hardware.parquet",
        rejected="<resources>/<site>/rejected/hardware.parquet",
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


rule integrate_devices:
    """Integrate the power of GPUs, and load and power of processors, over a cluster's jobs."""
    input:
        hardware=rules.look_up_hardware.output.hardware,
        node_allocations=rules.build_allocations.output.node_allocations,
        gpu_allocations=rules.build_allocations.output.gpu_allocations,
        devices=branch(
            STUDY.has_gpu_power,
            then=collect(
                rules.download_devices.output.devices, month=STUDY.months, allow_missing=True
            ),
            otherwise=[],
        ),
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
        gpu_power=branch(
            STUDY.has_gpu_power,
            then="<results>/estimates/gpu_power/{cluster}.parquet",
            otherwise=[],
        ),
        cpu_series=branch(
            STUDY.has_cpu_series,
            then="<results>/estimates/cpu_series/{cluster}.parquet",
            otherwise=[],
        ),
    log:
        "<logs>/integrate_devices/{cluster}.log",
    benchmark:
        "<benchmarks>/integrate_devices/{cluster}.jsonl"
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
        "../scripts/integrate_devices.py"


rule match_recorded:
    """Match the runs that tools recorded with jobs, and count those that cannot be used."""
    input:
        files=STUDY.files.recorded,
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
        nodes=rules.download_nodes.output.nodes,
    output:
        recorded="<resources>/<site>/recorded.parquet",
        rejected="<resources>/<site>/rejected/recorded.parquet",
    log:
        "<logs>/match_recorded.log",
    benchmark:
        "<benchmarks>/match_recorded.jsonl"
    priority: 1  # unreadable files are counted before long work
    conda:
        "../../envs/footprint.yaml"
    params:
        folder=STUDY.recorded_folder,
        unreadable=STUDY.unreadable_records,
    script:
        "../scripts/match_recorded.py"


rule estimate_energy:
    """Estimate the energy of each job by each estimator."""
    input:
        job_energy=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
        hardware=rules.look_up_hardware.output.hardware,
        records=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
        nodes=rules.download_nodes.output.nodes,
        gpu_power=branch(
            STUDY.has_gpu_power,
            then=collect(rules.integrate_devices.output.gpu_power, cluster=STUDY.clusters),
            otherwise=[],
        ),
        cpu_series=branch(
            STUDY.has_cpu_series,
            then=collect(rules.integrate_devices.output.cpu_series, cluster=STUDY.clusters),
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
