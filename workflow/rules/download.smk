"""Raw records of the study, in the tables of the data dictionary.

    nodes       resources/<site>/nodes.parquet
    jobs        resources/<site>/{jobs,allocations,states}.parquet
    power       resources/<site>/power/<metric>/{cluster}/{month}.parquet
    truth       resources/<site>/{truth,true_kinds}.parquet     (simulated site only)

Files that the source could not use, and why, are counted in the `set_aside` tables beside them.
Answers of services are kept in resources/<site>/answers, which is no rule's output: Snakemake deletes
those of a job that fails, and an interrupted download goes on where it stopped.
"""


rule download_nodes:
    """Hardware of every node that the source describes."""
    input:
        files=STUDY.files.nodes,
    output:
        nodes=ensure("<resources>/<site>/nodes.parquet", non_empty=True),
    log:
        "<logs>/download_nodes.log",
    benchmark:
        "<benchmarks>/download_nodes.jsonl"
    priority: 1  # what can be wrong with nodes and jobs is found before long work
    retries: STUDY.retries
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        source=STUDY.source,
    script:
        "../scripts/download_nodes.py"


rule download_jobs:
    """Jobs of the study's window, what they held, and when nodes were unavailable."""
    input:
        files=STUDY.files.jobs,
        # what the API says of the nodes is needed too: let one rule ask for it
        nodes=branch(STUDY.asked, then=rules.download_nodes.output.nodes, otherwise=[]),
    output:
        jobs=ensure("<resources>/<site>/jobs.parquet", non_empty=True),
        allocations=ensure("<resources>/<site>/allocations.parquet", non_empty=True),
        states=ensure("<resources>/<site>/states.parquet", non_empty=True),
        set_aside="<resources>/<site>/set_aside/jobs.parquet",
    log:
        "<logs>/download_jobs.log",
    benchmark:
        "<benchmarks>/download_jobs.jsonl"
    priority: 1
    retries: STUDY.retries
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        source=STUDY.source,
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/download_jobs.py"


rule convert_power:
    """Exported power files, each read once, with what of them is set aside."""
    input:
        files=STUDY.files.power,
    output:
        converted=directory("<resources>/<site>/converted/<metric>"),
        set_aside="<resources>/<site>/set_aside/<metric>.parquet",
    log:
        "<logs>/convert_power/<metric>.log",
    benchmark:
        "<benchmarks>/convert_power/<metric>.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        source=STUDY.source,
        metric=STUDY.metric,
        clusters=STUDY.clusters,
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/convert_power.py"


rule download_power:
    """Cleaned power of one cluster and month, and what became of each of its readings."""
    input:
        nodes=rules.download_nodes.output.nodes,
        # readings are judged by whether a job held the node
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
        states=rules.download_jobs.output.states,
        converted=branch(STUDY.exported, then=rules.convert_power.output.converted, otherwise=[]),
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


rule download_truth:
    """Exact energy of each job of the simulated site, and what each truly was."""
    output:
        truth="<resources>/<site>/truth.parquet",
        kinds="<resources>/<site>/true_kinds.parquet",
    log:
        "<logs>/download_truth.log",
    benchmark:
        "<benchmarks>/download_truth.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        source=STUDY.source,
    script:
        "../scripts/download_truth.py"
