"""Print where the library is, its estimators, and an estimate by the estimator `flat_rate`."""

import footprint
from footprint.estimators import registry
from tests.support.estimator_inputs import GRAFFITI, inputs_of_jobs, job_node


def main() -> None:
    """Print three lines: the file of the library, names, and a row as JSON."""
    (flat,) = registry.select_estimators(["flat_rate"])
    inputs = inputs_of_jobs({1: [job_node(GRAFFITI, hours=3, cores=4, gpus=2)]})
    print(footprint.__file__)
    print(*registry.ESTIMATORS)
    print(registry.estimate_jobs(inputs, flat).write_json())


if __name__ == "__main__":
    main()
