"""Raw records of the study, in the tables of the data dictionary.

    nodes       resources/<site>/nodes.parquet
    jobs        resources/<site>/{jobs,allocations,states}.parquet
    truth       resources/<site>/{truth,true_kinds}.parquet     (simulated site only)

The `rejected` tables beside them count unusable rows, with reasons. Answers of services are kept in
resources/<site>/answers. This folder is no rule's output, because Snakemake deletes the outputs of
failed jobs, and an interrupted download must resume where it stopped.
"""


rule download_nodes:
    """Write the hardware of every node that the source describes."""
    input:
        files=STUDY.files.nodes,
    output:
        nodes=ensure("<resources>/<site>/nodes.parquet", non_empty=True),
    log:
        "<logs>/download_nodes.log",
    benchmark:
        "<benchmarks>/download_nodes.jsonl"
    priority: 1  # errors in nodes and jobs are found before long work
    retries: STUDY.retries
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        source=STUDY.source,
    script:
        "../scripts/download_nodes.py"


rule download_jobs:
    """Write the jobs of the study's window, their allocations, and the node states."""
    input:
        files=STUDY.files.jobs,
        # both rules need the API's descriptions of the nodes: only one must request them
        nodes=branch(STUDY.is_downloaded, then=rules.download_nodes.output.nodes, otherwise=[]),
    output:
        jobs=ensure("<resources>/<site>/jobs.parquet", non_empty=True),
        allocations=ensure("<resources>/<site>/allocations.parquet", non_empty=True),
        states=ensure("<resources>/<site>/states.parquet", non_empty=True),
        rejected="<resources>/<site>/rejected/jobs.parquet",
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
    """Convert exported power files, each read once, and count their rejected rows."""
    input:
        files=STUDY.files.power,
    output:
        converted=directory("<resources>/<site>/converted/<metric>"),
        rejected="<resources>/<site>/rejected/<metric>.parquet",
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


rule download_truth:
    """Write the exact energy and the true kind of each job of the simulated site."""
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
