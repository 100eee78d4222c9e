"""Print the hashes of the levels of a large study, for runs with several numbers of threads."""

from footprint.levels import levels
from footprint.levels.selection import LevelSelection
from tests.support import study_frames


def main() -> None:
    """Print one hash for each row."""
    study = study_frames.invented_study(n_jobs=20_000)
    rows = levels.energy_by_level(
        study.energy,
        study.papers.lazy(),
        study.estimates.lazy(),
        site="nancy",
        selection=LevelSelection(users=["u-00000001"], minimum_group=5),
        redistribution="resource_hours",
        model=study_frames.ERROR_MODEL,
    ).collect()
    print(rows.hash_rows().to_list())


if __name__ == "__main__":
    main()
