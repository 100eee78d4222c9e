"""The configuration of a study, and the plan of its clusters, months and files.

The package takes config.yaml and its overrides, and gives one checked configuration with all
defaults, and a `Study` for the rules of the workflow. It writes no table.

- `settings`: reading, completing and checking the configuration.
- `checks`: conditions on its values that a JSON schema cannot express.
- `study`: clusters, months, input files and outputs of a configured study.
- `plan`: requests, samples and size of the download of a study from Grid'5000.
"""
