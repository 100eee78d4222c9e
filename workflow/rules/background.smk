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


use rule draw as plot_models with:
    """Draw the training compute of notable AI models against their publication date."""
    input:
        models=rules.read_models.output.models,
    output:
        **figure_files("models", category="1 Site", shows="training compute of notable models"),
    pathvars:
        rule="plot_models",
    params:
        function="figures.models.plot",
        provenance=None,  # the figure names the source of the list


rule count_users:
    """Count distinct users in the 12 months before each point in time."""
    input:
        jobs=rules.download_jobs.output.jobs,
        history=STUDY.config["usage"]["history"] or [],
        statistics=STUDY.config["usage"]["statistics"] or [],
    output:
        users="<results>/active_users.parquet",
        rejected="<resources>/<site>/rejected/usage.parquet",
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


use rule draw as plot_active_users with:
    """Draw the number of users in the 12 months before each point in time."""
    input:
        users=rules.count_users.output.users,
    output:
        **figure_files("active_users", category="1 Site", shows="active users"),
    pathvars:
        rule="plot_active_users",
    params:
        function="figures.active_users.plot",
        site=STUDY.site,


use rule tabulate as tabulate_active_users with:
    """Tabulate active users, and the covered part of each window of 12 months."""
    input:
        users=rules.count_users.output.users,
    output:
        **table_files("active_users", category="1 Site", shows="active users"),
    pathvars:
        rule="tabulate_active_users",
    params:
        function="tables.usage.active_users_table",
        site=STUDY.site,


use rule draw as plot_site_map with:
    """Draw the sites of Grid'5000 on a map, with the studied one marked."""
    output:
        **figure_files("site_map", category="1 Site", shows="sites of Grid'5000"),
    pathvars:
        rule="plot_site_map",
    params:
        function="figures.site_map.plot",
        site=STUDY.site,
