"""Write what each estimator says of each job."""

from footprint import logs
from footprint.estimators import facts, registry

logs.to_file(snakemake.log[0])

registry.write(
    facts.load(snakemake.input),
    registry.chosen(snakemake.params.estimators),
    snakemake.output.estimates,
)
