"""Parsers of the answers and the database of OAR, the scheduler of Grid'5000.

The package takes answers of the Grid'5000 API and of OAR's REST API, output of `oarstat -J` and
`oarnodes -J`, and rows of OAR's PostgreSQL. It returns one record a job and answer
(`job_records.RECORD_SCHEMA`; times in seconds since 1970), and the tables made of them:
`schemas.Jobs`, `schemas.Allocations`, `schemas.States` and `schemas.RejectedRows`.

Modules:
    encoding: Repair of text that was encoded as UTF-8 twice.
    fields: Parsers of single fields, and the error of a field.
    held_resources: Cores and GPUs that one job held.
    job_records: Answers in any format -> records of jobs, and the table of resources.
    list_damage: Signs that an answer of a list is damaged although its status is 200.
    listing_totals: Jobs that an answer counts but no file lists.
    database_rows: Rows of OAR's tables -> records of jobs.
    resource_logs: Rows of OAR's `resource_logs` -> states of nodes.
    postgresql: Queries of OAR's database, read only.
    job_checks: Reasons for which a record or a job is rejected.
    rejected_jobs: Counts of rejected rows, and words of messages about several jobs.
    record_merging: Records of one job -> one record.
    allocation_tables: Nodes that jobs held -> table of allocations.
    job_tables: Records of jobs -> tables of jobs, allocations and rejected rows.
"""
