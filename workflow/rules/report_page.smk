"""The report: one self-contained page with the answer, the runs, all figures and all tables.

REQUIRED INPUTS: levels, energies of jobs, runs, R, carbon, power; every figure and table
OUTPUTS:
    report      results/report.html
"""

from pathlib import Path

REPORT = Path(workflow.basedir, "workflow/src/footprint/report")


HIDDEN = {"validation"}  # figures and tables that are not of this study
HIDDEN |= set() if STUDY.is_simulated else {"evaluation"}
HIDDEN |= set() if STUDY.has_truth else {"simulation_check"}
HIDDEN |= set() if STUDY.has_ledgers else {"ledger"}
HIDDEN |= set() if STUDY.has_counters else {"counters"}
SHOWN = [each for each in EXHIBITS if each["name"] not in HIDDEN]


rule write_report:
    """Write the page of the report."""
    input:
        levels=rules.build_levels.output.levels,
        ratio=rules.compare_phases.output.ratio,
        energies=rules.compare_phases.output.energies,
        carbon=rules.estimate_carbon.output.carbon,
        uncertainty=rules.budget_uncertainty.output.uncertainty,
        runs=rules.classify_runs.output.runs,
        job_energy=rules.combine_energy.output.jobs,
        allocations=rules.download_jobs.output.allocations,
        papers=rules.match_labels.output.papers,
        power=collect(rules.download_power.output.power, cluster=STUDY.clusters, month=STUDY.months),
        exhibits=[
            (
                f"<results>/figures/{each['name']}.svg"
                if each["kind"] == "figure"
                else f"<results>/tables/{each['name']}.html"
            )
            for each in SHOWN
        ],
        captions=[REPORT / "captions" / each["caption"] for each in SHOWN],
        page=[REPORT / "page" / name for name in ("page.html.j2", "page.css", "page.js")],
    output:
        report="<results>/report.html",
    log:
        "<logs>/write_report.log",
    benchmark:
        "<benchmarks>/write_report.jsonl"
    conda:
        "../../envs/footprint.yaml"
    params:
        site=STUDY.site,
        start=STUDY.start,
        end=STUDY.end,
        simulated=STUDY.is_simulated,
        pue=STUDY.pue,
        factors=STUDY.config["carbon"]["factors"],
        embodied=STUDY.config["carbon"]["embodied"],
        max_gap_s=STUDY.integration["max_gap_s"],
        exhibits=[{key: each[key] for key in ("kind", "name", "shows")} for each in SHOWN],
        provenance=PROVENANCE,
    script:
        "../scripts/write_report.py"
