"""Definitions shared by all stages: no stage is imported here.

No table is read or written. Modules without a third-party package can be imported by the tracker:

- `errors`: the exception for input that a user can fix.
- `units`: factors between units (J, kWh, s, h).
- `vocabulary`: kinds, roles, phases and other words shared by labels, tables and the tracker.
- `calendar`: the study's window and its months, in UTC.
- `addresses`: checks of the addresses of services and databases.
- `light_imports`: imports without optional packages that nothing here uses.
- `names`: names of papers and projects in one form, escaped for Markdown and CSV
- `latex`: text with LaTeX's special characters escaped.

The others use NumPy, Polars, PyYAML or jsonschema, or serve the workflow alone:

- `arrays`: types of NumPy arrays.
- `gaps`: what time between samples is a gap.
- `sums`: sums of floats that do not depend on the order of rows or on threads.
- `step_functions`: sums of overlapping intervals as step functions of time.
- `json_schema`: defaults and error messages from a JSON schema.
- `pseudonyms`: pseudonyms of logins, and their key.
- `definitions`: functions, classes and constants of a module, and the names that each uses.
- `fingerprint`: hash of the code behind a rule.
- `provenance`: the line of figures and tables that names site, window, source and version.
- `logs`: log files of rules.
"""
