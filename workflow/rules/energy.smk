"""From power and jobs to energy.

REQUIRED INPUTS: nodes, jobs, allocations, states and power of the download stage
OUTPUTS:
    allocations results/energy/{node_allocations,occupancy,overlaps,gpu_allocations}.parquet
                allocations of nodes, share of each node that is held, jobs that held the same
                cores, and allocations of GPUs where the source has their power
    months      results/energy/months/{cluster}/{month}.*       sums of one cluster and month
    energy      results/energy/{jobs,job_nodes,nodes,quality,rejected}.parquet
    gates       results/energy/gate_policies.parquet    energy of jobs under each gate
"""


rule build_allocations:
    """Build the allocations of nodes, and of GPUs with power of their own."""
    input:
        nodes=rules.download_nodes.output.nodes,
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
    output:
        node_allocations="<results>/energy/node_allocations.parquet",
        occupancy="<results>/energy/occupancy.parquet",
        overlaps="<results>/energy/overlaps.parquet",
        gpu_allocations=branch(
            STUDY.has_gpu_power, then="<results>/energy/gpu_allocations.parquet", otherwise=[]
        ),
    log:
        "<logs>/build_allocations.log",
    benchmark:
        "<benchmarks>/build_allocations.jsonl"
    priority: 1  # overallocated nodes are found before long work
    conda:
        "../../envs/footprint.yaml"
    params:
        clusters=STUDY.clusters,
        start=STUDY.start,
        end=STUDY.end,
        policy=STUDY.integration["gate"],
    script:
        "../scripts/build_allocations.py"


rule measure_node_power:
    """Measure idle and maximum power of each node of a cluster over the study."""
    input:
        nodes=rules.download_nodes.output.nodes,
        occupancy=rules.build_allocations.output.occupancy,
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
    """Integrate the energy of the nodes of one cluster and month, and attribute it to jobs."""
    input:
        nodes=rules.download_nodes.output.nodes,
        states=rules.download_jobs.output.states,
        node_allocations=rules.build_allocations.output.node_allocations,
        occupancy=rules.build_allocations.output.occupancy,
        power=rules.download_power.output.power,
        node_power=branch(
            STUDY.integration["gate"] == "two_part",
            then=rules.measure_node_power.output.node_power,
            otherwise=[],
        ),
        gpu_allocations=branch(
            STUDY.is_divided_by_gpu,
            then=rules.build_allocations.output.gpu_allocations,
            otherwise=[],
        ),
        devices=branch(
            STUDY.is_divided_by_gpu,
            then=collect(
                rules.download_devices.output.devices, month=STUDY.months, allow_missing=True
            ),
            otherwise=[],
        ),
    output:
        jobs="<results>/energy/months/{cluster}/{month}.jobs.parquet",
        classes="<results>/energy/months/{cluster}/{month}.classes.parquet",
        segments="<results>/energy/months/{cluster}/{month}.segments.parquet",
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


include: "gaps.smk"


rule combine_energy:
    """Combine the months: energy of each job with its interval, and of each node by class."""
    input:
        nodes=rules.download_nodes.output.nodes,
        jobs=rules.download_jobs.output.jobs,
        allocations=rules.download_jobs.output.allocations,
        overlaps=rules.build_allocations.output.overlaps,
        job_sums=collect(
            rules.integrate_energy.output.jobs, cluster=STUDY.clusters, month=STUDY.months
        ),
        classes=collect(
            rules.integrate_energy.output.classes, cluster=STUDY.clusters, month=STUDY.months
        ),
        job_gaps=collect(rules.estimate_gaps.output.jobs, cluster=STUDY.clusters),
        class_gaps=collect(rules.estimate_gaps.output.classes, cluster=STUDY.clusters),
        virtual_meter=rules.fit_virtual_meter.output.virtual_meter,
        quality=collect(
            rules.download_power.output.quality, cluster=STUDY.clusters, month=STUDY.months
        ),
        spells=collect(
            rules.download_power.output.spells, cluster=STUDY.clusters, month=STUDY.months
        ),
        converted=branch(STUDY.is_exported, then=rules.convert_power.output.converted, otherwise=[]),
        rejected=[
            rules.download_jobs.output.rejected,
            "<resources>/<site>/rejected/hardware.parquet",
            branch(STUDY.is_exported, then=rules.convert_power.output.rejected, otherwise=[]),
            branch(
                STUDY.has_records,
                then="<resources>/<site>/rejected/recorded.parquet",
                otherwise=[],
            ),
            branch(STUDY.has_ledgers, then=rules.match_ledgers.output.rejected, otherwise=[]),
            branch(
                STUDY.config["carbon"]["eco2mix"],
                then="<resources>/<site>/rejected/eco2mix.parquet",
                otherwise=[],
            ),
            branch(
                STUDY.has_model_list,
                then="<resources>/<site>/rejected/models.parquet",
                otherwise=[],
            ),
            branch(
                STUDY.has_usage_files,
                then="<resources>/<site>/rejected/usage.parquet",
                otherwise=[],
            ),
            branch(
                STUDY.has_gpu_power,
                then=[
                    branch(
                        STUDY.is_exported, then=rules.convert_devices.output.rejected, otherwise=[]
                    ),
                    *collect(
                        rules.download_devices.output.rejected,
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
        rejected="<results>/energy/rejected.parquet",
    log:
        "<logs>/combine_energy.log",
    benchmark:
        "<benchmarks>/combine_energy.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        clusters=STUDY.clusters,
        start=STUDY.start,
        end=STUDY.end,
        method=STUDY.integration["method"],
        meters=STUDY.meters,
        metric=STUDY.metric,
        privacy=STUDY.privacy,
        simulated=STUDY.is_simulated,
    script:
        "../scripts/combine_energy.py"


rule compare_gates:
    """Compute the total energy of each job under each gate."""
    input:
        node_allocations=rules.build_allocations.output.node_allocations,
        segments=collect(
            rules.integrate_energy.output.segments, cluster=STUDY.clusters, month=STUDY.months
        ),
        gaps=collect(rules.estimate_gaps.output.segments, cluster=STUDY.clusters),
        node_power=collect(rules.measure_node_power.output.node_power, cluster=STUDY.clusters),
        job_energy=rules.combine_energy.output.jobs,
    output:
        by_gate="<results>/energy/gate_policies.parquet",
    log:
        "<logs>/compare_gates.log",
    benchmark:
        "<benchmarks>/compare_gates.jsonl"
    conda:
        "../../envs/footprint.yaml"
    resources:
        mem_mb=2000,
    params:
        gate=STUDY.integration["gate"],
        jobs_complete=STUDY.jobs_complete,
    script:
        "../scripts/compare_gates.py"


rule check_simulation:
    """Compare measured with true energies on the simulated site."""
    input:
        jobs=rules.combine_energy.output.jobs,
        job_nodes=rules.combine_energy.output.job_nodes,
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
