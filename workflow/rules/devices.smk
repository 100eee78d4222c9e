"""Series of devices, where they are asked for; else none of this runs.

    devices     resources/<site>/devices/<gpu_metric>/{cluster}/{month}.parquet     power of single GPUs
    series      resources/<site>/series/{series}/{cluster}/{month}.parquet          any other, as it came
    gpu_gates   results/energy/gpu_gates.parquet            who held which part of which GPU when

The gate `two_part` uses the power of GPUs where the source has it.
"""


rule convert_devices:
    """Exported files about GPUs, each read once, with what of them is set aside."""
    input:
        files=STUDY.files.devices,
    output:
        converted=directory("<resources>/<site>/converted/<gpu_metric>"),
        set_aside="<resources>/<site>/set_aside/<gpu_metric>.parquet",
    log:
        "<logs>/convert_devices.log",
    benchmark:
        "<benchmarks>/convert_devices.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        source=STUDY.source,
        clusters=STUDY.clusters,
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/convert_devices.py"


rule download_devices:
    """Cleaned power of the GPUs of one cluster and month, and what of it is set aside."""
    input:
        nodes=rules.download_nodes.output.nodes,
        converted=branch(STUDY.exported, then=rules.convert_devices.output.converted, otherwise=[]),
    output:
        devices=ensure(
            "<resources>/<site>/devices/<gpu_metric>/{cluster}/{month}.parquet", non_empty=True
        ),
        set_aside="<resources>/<site>/set_aside/<gpu_metric>/{cluster}/{month}.parquet",
    log:
        "<logs>/download_devices/{cluster}/{month}.log",
    benchmark:
        "<benchmarks>/download_devices/{cluster}/{month}.jsonl"
    retries: STUDY.retries
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=1000,
    params:
        site=STUDY.site,
        source=STUDY.source,
        start=STUDY.start,
        end=STUDY.end,
        max_gap_s=STUDY.integration["max_gap_s"],
    script:
        "../scripts/download_devices.py"


rule download_series:
    """Another series of the nodes of one cluster and month, as it came."""
    input:
        nodes=rules.download_nodes.output.nodes,
    output:
        series=ensure(
            "<resources>/<site>/series/{series}/{cluster}/{month}.parquet", non_empty=True
        ),
    log:
        "<logs>/download_series/{series}/{cluster}/{month}.log",
    benchmark:
        "<benchmarks>/download_series/{series}/{cluster}/{month}.jsonl"
    retries: STUDY.retries
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=1000,
    params:
        site=STUDY.site,
        source=STUDY.source,
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/download_series.py"


rule build_gpu_gates:
    """Who held which part of which GPU, and when."""
    input:
        nodes=rules.download_nodes.output.nodes,
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
    output:
        gates="<results>/energy/gpu_gates.parquet",
    log:
        "<logs>/build_gpu_gates.log",
    benchmark:
        "<benchmarks>/build_gpu_gates.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        clusters=STUDY.clusters,
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/build_gpu_gates.py"
