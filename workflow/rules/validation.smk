"""All methods on recorded runs of a real node, against a wattmeter: `snakemake validation`.

REQUIRED INPUTS: none of the other stages; recordings in `validation.directory`, or fetched ones
OUTPUTS:
    recordings  resources/validation/                           only without `validation.directory`
    runs        results/validation/runs.parquet                 energy of each run by each method
    figure      results/figures/validation.{pdf,svg,png}
    table       results/tables/validation.{csv,html,tex}
"""


rule fetch_recordings:
    """Fetch the recordings from their authors' repository, at a commit that fixes their content."""
    output:
        folder=directory("<resources>/validation"),
    log:
        "<logs>/fetch_recordings.log",
    benchmark:
        "<benchmarks>/fetch_recordings.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        repository=STUDY.config["validation"]["repository"],
        commit=STUDY.config["validation"]["commit"],
    script:
        "../scripts/fetch_recordings.py"


rule compare_recordings:
    """Compute the energy of each recorded run by its meters, its tool and the estimators."""
    input:
        files=STUDY.recordings,
        folder=branch(
            STUDY.config["validation"]["directory"],
            then=[],
            otherwise=rules.fetch_recordings.output.folder,
        ),
    output:
        runs="<results>/validation/runs.parquet",
    log:
        "<logs>/compare_recordings.log",
    benchmark:
        "<benchmarks>/compare_recordings.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        directory=STUDY.config["validation"]["directory"],
        estimators=STUDY.estimators,
    script:
        "../scripts/compare_recordings.py"


use rule draw as plot_validation with:
    """Draw every method against the wattmeter, run by run."""
    input:
        runs=rules.compare_recordings.output.runs,
    output:
        **figure_files(
            "validation", category="6 Validation", shows="all methods against a wattmetre"
        ),
    pathvars:
        rule="plot_validation",
    params:
        function="figures.validation.plot",
        provenance=STUDY.recordings_provenance,


use rule tabulate as tabulate_validation with:
    """Tabulate the ratio of each method to the wattmeter: median and spread."""
    input:
        runs=rules.compare_recordings.output.runs,
    output:
        **table_files(
            "validation", category="6 Validation", shows="all methods against a wattmetre"
        ),
    pathvars:
        rule="tabulate_validation",
    params:
        function="tables.validation.validation_table",
        provenance=STUDY.recordings_provenance,
