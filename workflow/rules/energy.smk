"""From power and jobs to energy.

REQUIRED INPUTS: nodes, jobs, allocations, states and power of the download stage
OUTPUTS:
    gates       results/energy/{gates,occupancy,overlaps}.parquet
                who held which share of which node when, and which jobs held the same cores
    months      results/energy/months/{cluster}/{month}.*       sums of one cluster and month
    energy      results/energy/{jobs,job_nodes,nodes,quality,set_aside}.parquet
"""


rule build_gates:
    """Who held which share of which node, and when."""
    input:
        nodes=rules.download_nodes.output.nodes,
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
    output:
        gates="<results>/energy/gates.parquet",
        occupancy="<results>/energy/occupancy.parquet",
        overlaps="<results>/energy/overlaps.parquet",
    log:
        "<logs>/build_gates.log",
    benchmark:
        "<benchmarks>/build_gates.jsonl"
    priority: 1  # nodes of which too much is held are found before long work
    conda:
        "../../envs/footprint.yaml"
    params:
        clusters=STUDY.clusters,
        start=STUDY.start,
        end=STUDY.end,
        policy=STUDY.integration["gate"],
    script:
        "../scripts/build_gates.py"


rule measure_node_power:
    """Idle and maximum power of each node of a cluster over the study."""
    input:
        nodes=rules.download_nodes.output.nodes,
        occupancy=rules.build_gates.output.occupancy,
        power=collect(rules.download_power.output.power, month=STUDY.months, allow_missing=True),
    output:
        node_power="<results>/energy/node_power/{cluster}.parquet",
    log:
        "<logs>/measure_node_power/{cluster}.log",
    benchmark:
        "<benchmarks>/measure_node_power/{cluster}.jsonl"
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=800 + 50 * len(STUDY.months),  # a node's samples of the whole study
    params:
        integration=STUDY.integration,
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/measure_node_power.py"


rule integrate_energy:
    """Gated energy of every job and node of one cluster and month."""
    input:
        nodes=rules.download_nodes.output.nodes,
        states=rules.download_jobs.output.states,
        gates=rules.build_gates.output.gates,
        occupancy=rules.build_gates.output.occupancy,
        power=rules.download_power.output.power,
        node_power=branch(
            STUDY.integration["gate"] == "two_part",
            then=rules.measure_node_power.output.node_power,
            otherwise=[],
        ),
        gpu_gates=branch(STUDY.by_gpu, then=rules.build_gpu_gates.output.gates, otherwise=[]),
        devices=branch(
            STUDY.by_gpu,
            then=collect(
                rules.download_devices.output.devices, month=STUDY.months, allow_missing=True
            ),
            otherwise=[],
        ),
    output:
        jobs="<results>/energy/months/{cluster}/{month}.jobs.parquet",
        classes="<results>/energy/months/{cluster}/{month}.classes.parquet",
    log:
        "<logs>/integrate_energy/{cluster}/{month}.log",
    benchmark:
        "<benchmarks>/integrate_energy/{cluster}/{month}.jsonl"
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=1500,
    params:
        integration=STUDY.integration,
        jobs_complete=STUDY.jobs_complete,
        start=STUDY.start,
        end=STUDY.end,
    script:
        "../scripts/integrate_energy.py"


rule gather_energy:
    """Energy of every job, with its coverage and interval, and of every node by class."""
    input:
        nodes=rules.download_nodes.output.nodes,
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
        overlaps=rules.build_gates.output.overlaps,
        job_sums=collect(
            rules.integrate_energy.output.jobs, cluster=STUDY.clusters, month=STUDY.months
        ),
        classes=collect(
            rules.integrate_energy.output.classes, cluster=STUDY.clusters, month=STUDY.months
        ),
        quality=collect(
            rules.download_power.output.quality, cluster=STUDY.clusters, month=STUDY.months
        ),
        spells=collect(
            rules.download_power.output.spells, cluster=STUDY.clusters, month=STUDY.months
        ),
        converted=branch(STUDY.exported, then=rules.convert_power.output.converted, otherwise=[]),
        set_aside=[
            rules.download_jobs.output.set_aside,
            "<resources>/<site>/set_aside/hardware.parquet",
            branch(STUDY.exported, then=rules.convert_power.output.set_aside, otherwise=[]),
            branch(
                STUDY.has_records,
                then="<resources>/<site>/set_aside/recorded.parquet",
                otherwise=[],
            ),
            branch(STUDY.has_ledgers, then=rules.match_ledgers.output.set_aside, otherwise=[]),
            branch(
                STUDY.config["carbon"]["eco2mix"],
                then="<resources>/<site>/set_aside/eco2mix.parquet",
                otherwise=[],
            ),
            branch(
                STUDY.has_model_list,
                then="<resources>/<site>/set_aside/models.parquet",
                otherwise=[],
            ),
            branch(
                STUDY.has_gpu_power,
                then=[
                    branch(
                        STUDY.exported, then=rules.convert_devices.output.set_aside, otherwise=[]
                    ),
                    *collect(
                        rules.download_devices.output.set_aside,
                        cluster=STUDY.clusters,
                        month=STUDY.months,
                    ),
                ],
                otherwise=[],
            ),
        ],
    output:
        jobs="<results>/energy/jobs.parquet",
        job_nodes="<results>/energy/job_nodes.parquet",
        nodes="<results>/energy/nodes.parquet",
        quality="<results>/energy/quality.parquet",
        set_aside="<results>/energy/set_aside.parquet",
    log:
        "<logs>/gather_energy.log",
    benchmark:
        "<benchmarks>/gather_energy.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        clusters=STUDY.clusters,
        start=STUDY.start,
        end=STUDY.end,
        method=STUDY.integration["method"],
        metric=STUDY.metric,
        privacy=STUDY.privacy,
        simulated=STUDY.simulated,
    script:
        "../scripts/gather_energy.py"


rule check_simulation:
    """Measured against true energy, on the simulated site."""
    input:
        jobs=rules.gather_energy.output.jobs,
        job_nodes=rules.gather_energy.output.job_nodes,
        truth=rules.download_truth.output.truth,
    output:
        check="<results>/energy/simulation_check.parquet",
    log:
        "<logs>/check_simulation.log",
    benchmark:
        "<benchmarks>/check_simulation.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        source=STUDY.source,
    script:
        "../scripts/check_simulation.py"
