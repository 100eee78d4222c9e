"""Write the energy of each job by each estimator."""

from footprint.core import logs
from footprint.estimators import inputs, registry

logs.log_to_file(snakemake.log[0])

registry.write_estimates(
    inputs.scan_inputs(snakemake.input),
    registry.select_estimators(snakemake.params.estimators),
    snakemake.output.estimates,
)
