"""Power of nodes: readings cleaned and counted by cluster and month, and failures of sensors.

power       resources/<site>/power/<metric>/{cluster}/{month}.parquet            samples
quality     resources/<site>/quality/<metric>/{cluster}/{month}.parquet          counts of readings
spells      resources/<site>/sensor_spells/<metric>/{cluster}/{month}.parquet    rejected spells
"""


rule download_power:
    """Write the cleaned power of one cluster and month, and count its readings by outcome."""
    input:
        nodes=rules.download_nodes.output.nodes,
        # the cleaning depends on whether a job held the node
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
        states=rules.download_jobs.output.states,
        # GPU power that moves while readings stand still shows that the sensor is stuck
        devices=branch(
            STUDY.has_gpu_power, then=rules.download_devices.output.devices, otherwise=[]
        ),
        converted=branch(STUDY.is_exported, then=rules.convert_power.output.converted, otherwise=[]),
    output:
        power=ensure("<resources>/<site>/power/<metric>/{cluster}/{month}.parquet", non_empty=True),
        quality=ensure(
            "<resources>/<site>/quality/<metric>/{cluster}/{month}.parquet", non_empty=True
        ),
        spells=ensure(
            "<resources>/<site>/sensor_spells/<metric>/{cluster}/{month}.parquet", non_empty=True
        ),
    log:
        "<logs>/download_power/<metric>/{cluster}/{month}.log",
    benchmark:
        "<benchmarks>/download_power/<metric>/{cluster}/{month}.jsonl"
    retries: STUDY.retries
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=1000,
    params:
        site=STUDY.site,
        source=STUDY.source,
        metric=STUDY.metric,
        start=STUDY.start,
        end=STUDY.end,
        max_gap_s=STUDY.integration["max_gap_s"],
        off_threshold_w=STUDY.integration["off_threshold_w"],
        sum_over=STUDY.integration["sum_over"],
        calibration=lambda wildcards: STUDY.integration["calibration"].get(wildcards.cluster),
    script:
        "../scripts/download_power.py"
