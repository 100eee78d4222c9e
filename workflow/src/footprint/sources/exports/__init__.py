"""The source `exports`: files that a user saved from the APIs or on a frontend.

It takes a folder with `nodes/`, `jobs/` and `power/`, and optionally `resources/`, `states/`,
`devices/` and `recorded/`. It gives the tables of `sources.protocol`, and rejected rows by file and
reason.

- `site`: implementation of `protocol.Site`.
- `folders`: lists of files, and clusters described in `nodes/`.
- `conversion`: files of `power/` and `devices/`, converted once to Parquet.
"""
