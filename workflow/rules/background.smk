"""Context of a study: training compute of notable models, active users, map of the sites.

REQUIRED INPUTS: jobs
OUTPUTS:
    models      results/notable_models.parquet      notable AI models and their training compute
    users       results/active_users.parquet        distinct users in 12 months
    figures     results/figures/{models,active_users,site_map}.{pdf,svg,png}
    table       results/tables/active_users.{csv,html,tex}
"""


rule read_models:
    """Read notable AI models and their training compute: Epoch AI's list, or the built-in one."""
    input:
        # an input, so that another copy of the list redraws the figure
        branch(STUDY.config["epoch"]["file"], then=STUDY.config["epoch"]["file"], otherwise=[]),
    output:
        models="<results>/notable_models.parquet",
        rejected="<resources>/<site>/rejected/models.parquet",
    log:
        "<logs>/read_models.log",
    benchmark:
        "<benchmarks>/read_models.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        file=STUDY.config["epoch"]["file"],
        url=STUDY.config["epoch"]["url"],
    script:
        "../scripts/read_models.py"


rule plot_models:
    """Draw the training compute of notable AI models against their publication date."""
    input:
        models=rules.read_models.output.models,
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
    """Count distinct users in the 12 months before each point in time."""
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
    """Draw the number of users in the 12 months before each point in time."""
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
    """Tabulate active users, and the covered part of each window of 12 months."""
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
    """Draw the sites of Grid'5000 on a map, with the studied one marked."""
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
