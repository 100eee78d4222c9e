"""All methods on recorded runs of a real node, against a wattmetre: `snakemake validation`.

REQUIRED INPUTS: none of the other stages; the recordings lie in `validation.directory`, or are fetched
OUTPUTS:
    recordings  resources/validation/                           where no directory is given
    runs        results/validation/runs.parquet                 every run by every method
    figure      results/figures/validation.{pdf,svg,png}
    table       results/tables/validation.{csv,html,tex}
"""


rule fetch_recordings:
    """Recordings from the repository of their authors, at a commit that is their checksum."""
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
    """Energy of each recorded run by the meters, the tool that ran in it, and the estimators."""
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


rule plot_validation:
    """Every method over the wattmetre, run by run."""
    input:
        runs=rules.compare_recordings.output.runs,
    output:
        svg=report(
            "<results>/figures/validation.svg",
            caption="../report/validation.rst",
            category="6 Validation",
            labels={"shows": "all methods against a wattmetre, figure"},
        ),
        pdf="<results>/figures/validation.pdf",
        png="<results>/figures/validation.png",
    log:
        "<logs>/plot_validation.log",
    benchmark:
        "<benchmarks>/plot_validation.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=STUDY.recordings_provenance,
    script:
        "../scripts/plot_validation.py"


rule tabulate_validation:
    """The same in numbers: median and spread of each method."""
    input:
        runs=rules.compare_recordings.output.runs,
    output:
        html=report(
            "<results>/tables/validation.html",
            caption="../report/validation_table.rst",
            category="6 Validation",
            labels={"shows": "all methods against a wattmetre, table"},
        ),
        csv="<results>/tables/validation.csv",
        tex="<results>/tables/validation.tex",
    log:
        "<logs>/tabulate_validation.log",
    benchmark:
        "<benchmarks>/tabulate_validation.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=STUDY.recordings_provenance,
    script:
        "../scripts/tabulate_validation.py"
