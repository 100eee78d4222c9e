"""What surrounds a study: training compute of notable models, active users, the sites.

REQUIRED INPUTS: jobs
OUTPUTS:
    models      results/notable_models.parquet      notable AI models and what their training took
    users       results/active_users.parquet        distinct users in 12 months
    figures     results/figures/{models,active_users,site_map}.{pdf,svg,png}
    table       results/tables/active_users.{csv,html,tex}
"""


rule gather_models:
    """Notable AI models and what their training took: a list of Epoch AI's, or well-known ones."""
    input:
        # watched: another copy of the list makes another figure
        branch(STUDY.config["epoch"]["file"], then=STUDY.config["epoch"]["file"], otherwise=[]),
    output:
        models="<results>/notable_models.parquet",
        set_aside="<resources>/<site>/set_aside/models.parquet",
    log:
        "<logs>/gather_models.log",
    benchmark:
        "<benchmarks>/gather_models.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        file=STUDY.config["epoch"]["file"],
        url=STUDY.config["epoch"]["url"],
    script:
        "../scripts/gather_models.py"


rule plot_models:
    """Training compute of notable AI models against their publication."""
    input:
        models=rules.gather_models.output.models,
    output:
        svg=report(
            "<results>/figures/models.svg",
            caption="../report/models.rst",
            category="1 Site",
            labels={"shows": "training compute of notable models, figure"},
        ),
        pdf="<results>/figures/models.pdf",
        png="<results>/figures/models.png",
    log:
        "<logs>/plot_models.log",
    benchmark:
        "<benchmarks>/plot_models.jsonl"
    conda:
        "../../envs/footprint.yaml"
    script:
        "../scripts/plot_models.py"


rule count_users:
    """Distinct users in the 12 months before each point in time."""
    input:
        jobs=rules.download_jobs.output.jobs,
        history=STUDY.config["usage"]["history"] or [],
        statistics=STUDY.config["usage"]["statistics"] or [],
    output:
        users="<results>/active_users.parquet",
    log:
        "<logs>/count_users.log",
    benchmark:
        "<benchmarks>/count_users.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        start=STUDY.start,
        end=STUDY.end,
        usage=STUDY.config["usage"],
        privacy=STUDY.privacy,
    script:
        "../scripts/count_users.py"


rule plot_active_users:
    """People who used the site in the 12 months before each point in time."""
    input:
        users=rules.count_users.output.users,
    output:
        svg=report(
            "<results>/figures/active_users.svg",
            caption="../report/active_users.rst",
            category="1 Site",
            labels={"shows": "active users, figure"},
        ),
        pdf="<results>/figures/active_users.pdf",
        png="<results>/figures/active_users.png",
    log:
        "<logs>/plot_active_users.log",
    benchmark:
        "<benchmarks>/plot_active_users.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        provenance=PROVENANCE,
    script:
        "../scripts/plot_active_users.py"


rule tabulate_active_users:
    """The same in numbers, and how much of each window is known."""
    input:
        users=rules.count_users.output.users,
    output:
        html=report(
            "<results>/tables/active_users.html",
            caption="../report/active_users_table.rst",
            category="1 Site",
            labels={"shows": "active users, table"},
        ),
        csv="<results>/tables/active_users.csv",
        tex="<results>/tables/active_users.tex",
    log:
        "<logs>/tabulate_active_users.log",
    benchmark:
        "<benchmarks>/tabulate_active_users.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        provenance=PROVENANCE,
    script:
        "../scripts/tabulate_active_users.py"


rule plot_site_map:
    """The sites of Grid'5000 on a map, and which of them is studied."""
    output:
        svg=report(
            "<results>/figures/site_map.svg",
            caption="../report/site_map.rst",
            category="1 Site",
            labels={"shows": "sites of Grid'5000, figure"},
        ),
        pdf="<results>/figures/site_map.pdf",
        png="<results>/figures/site_map.png",
    log:
        "<logs>/plot_site_map.log",
    benchmark:
        "<benchmarks>/plot_site_map.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        provenance=PROVENANCE,
    script:
        "../scripts/plot_site_map.py"
