"""Estimates of the energy in time without readings.

REQUIRED INPUTS: segments of nodes (energy.smk), hardware, and optional series of devices
OUTPUTS:
    series          results/energy/months/{cluster}/{month}.series.parquet
                    integrals of device series, in studies that have such series
    virtual meter   results/energy/virtual_meter.parquet    power models and their errors
    free power      results/energy/free_power.parquet       power of nodes that no job holds
    gaps            results/energy/gaps/{cluster}.{jobs,classes,segments}.parquet
                    estimated energy of jobs, of classes of nodes, and of segments
"""


rule integrate_series:
    """Integrate GPU power and load over the segments of one cluster and month."""
    input:
        hardware="<resources>/<site>/hardware.parquet",
        segments=rules.integrate_energy.output.segments,
        devices=branch(
            STUDY.has_gpu_power,
            then=collect(rules.download_devices.output.devices, allow_missing=True),
            otherwise=[],
        ),
        load=collect(
            rules.download_series.output.series,
            series=STUDY.cpu_series["load"],
            allow_missing=True,
        ),
    output:
        series="<results>/energy/months/{cluster}/{month}.series.parquet",
    log:
        "<logs>/integrate_series/{cluster}/{month}.log",
    benchmark:
        "<benchmarks>/integrate_series/{cluster}/{month}.jsonl"
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=1000,
    script:
        "../scripts/integrate_series.py"


rule fit_virtual_meter:
    """Fit the power models of nodes without readings on the nodes with readings."""
    input:
        hardware="<resources>/<site>/hardware.parquet",
        node_allocations=rules.build_allocations.output.node_allocations,
        segments=collect(
            rules.integrate_energy.output.segments, cluster=STUDY.clusters, month=STUDY.months
        ),
        series=branch(
            STUDY.has_power_series,
            then=collect(
                rules.integrate_series.output.series, cluster=STUDY.clusters, month=STUDY.months
            ),
            otherwise=[],
        ),
    output:
        virtual_meter="<results>/energy/virtual_meter.parquet",
        free_power="<results>/energy/free_power.parquet",
    log:
        "<logs>/fit_virtual_meter.log",
    benchmark:
        "<benchmarks>/fit_virtual_meter.jsonl"
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=2000,
    params:
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/fit_virtual_meter.py"


rule estimate_gaps:
    """Estimate the energy of a cluster's jobs and nodes in time without readings."""
    input:
        hardware="<resources>/<site>/hardware.parquet",
        node_allocations=rules.build_allocations.output.node_allocations,
        virtual_meter=rules.fit_virtual_meter.output.virtual_meter,
        free_power=rules.fit_virtual_meter.output.free_power,
        segments=collect(
            rules.integrate_energy.output.segments, month=STUDY.months, allow_missing=True
        ),
        series=branch(
            STUDY.has_power_series,
            then=collect(
                rules.integrate_series.output.series, month=STUDY.months, allow_missing=True
            ),
            otherwise=[],
        ),
    output:
        jobs="<results>/energy/gaps/{cluster}.jobs.parquet",
        classes="<results>/energy/gaps/{cluster}.classes.parquet",
        segments="<results>/energy/gaps/{cluster}.segments.parquet",
    log:
        "<logs>/estimate_gaps/{cluster}.log",
    benchmark:
        "<benchmarks>/estimate_gaps/{cluster}.jsonl"
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=2000,
    params:
        integration=STUDY.integration,
        jobs_complete=STUDY.jobs_complete,
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/estimate_gaps.py"
