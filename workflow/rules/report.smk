"""What the rules of all figures, and of all readers' tables, have in common.

Such a rule inherits from `draw` or `tabulate`:

    use rule draw as plot_levels with:
        input:
            levels=...,                         # tables that the function takes, by the same names
        output:
            **figure_files("levels", ...),      # with the caption footprint/report/captions/levels.rst
        pathvars:
            rule="plot_levels",                 # its own name, for its log and benchmark
        params:
            function="figures.levels.plot",     # in `footprint.report`
            ...                                 # settings that the function takes
"""


report: "../report/workflow.rst"


PROVENANCE = describe_study(STUDY.config)


rule draw:
    """Base of the rules of figures; it has no output and is in no plan."""
    log:
        "<logs>/<rule>.log",
    benchmark:
        "<benchmarks>/<rule>.jsonl"
    pathvars:
        rule="draw",
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/draw.py"


rule tabulate:
    """Base of the rules of readers' tables; it has no output and is in no plan."""
    log:
        "<logs>/<rule>.log",
    benchmark:
        "<benchmarks>/<rule>.jsonl"
    pathvars:
        rule="tabulate",
    conda:
        "../../envs/footprint.yaml"
    params:
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate.py"
