"""Series of devices; these rules run only in studies that use such series.

    devices     resources/<site>/devices/<gpu_metric>/{cluster}/{month}.parquet    power of each GPU
    series      resources/<site>/series/{series}/{cluster}/{month}.parquet         other series

The gate `two_part` uses the power of GPUs where the source provides it.
"""


rule convert_devices:
    """Convert exported series of GPUs and processors, and count their rejected rows."""
    input:
        files=STUDY.files.devices,
    output:
        converted=directory("<resources>/<site>/converted/devices"),
        rejected="<resources>/<site>/rejected/<gpu_metric>.parquet",
    log:
        "<logs>/convert_devices.log",
    benchmark:
        "<benchmarks>/convert_devices.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        source=STUDY.source,
        series=STUDY.series,
        clusters=STUDY.clusters,
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/convert_devices.py"


rule download_devices:
    """Write the cleaned power of the GPUs of one cluster and month, and count rejected rows."""
    input:
        nodes=rules.download_nodes.output.nodes,
        converted=branch(
            STUDY.is_exported, then=rules.convert_devices.output.converted, otherwise=[]
        ),
    output:
        devices=ensure(
            "<resources>/<site>/devices/<gpu_metric>/{cluster}/{month}.parquet", non_empty=True
        ),
        rejected="<resources>/<site>/rejected/<gpu_metric>/{cluster}/{month}.parquet",
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
    """Write another series of the nodes of one cluster and month, without cleaning."""
    input:
        nodes=rules.download_nodes.output.nodes,
        converted=branch(
            STUDY.is_exported, then=rules.convert_devices.output.converted, otherwise=[]
        ),
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
