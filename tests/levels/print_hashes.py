"""Print the hashes of the levels of a large study, for runs with several numbers of threads."""

from footprint.levels import levels
from tests.support import study_frames


def main() -> None:
    """Print one hash for each row."""
    study = study_frames.invented_study(n_jobs=20_000)
    rows = levels.energy_by_level(
        study.job_energy.lazy(),
        study.job_nodes.lazy(),
        study.node_energy.lazy(),
        study.papers.lazy(),
        study.estimates.lazy(),
        site="nancy",
        projects="all",
        users=["u-00000001"],
        papers_wanted="all",
        redistribution="resource_hours",
        minimum_group=5,
    ).collect()
    print(rows.hash_rows().to_list())


if __name__ == "__main__":
    main()
