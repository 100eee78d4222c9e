"""Parser of Kwollect, the monitoring service of Grid'5000.

It takes answers of `/sites/<site>/metrics`, as bytes or as files in any format in which users save
them. It gives frames of `metric`, `device`, `timestamp` (UTC, microseconds) and `value` (unit of
the metric). It rejects no record: an answer with an unusable record is an error.

- `answers`: frames from a file or from one answer of the API.
- `collected_metrics`: nodes without a metric among those collected by default.
- `fields`: names of fields, times, and the layout of CSV.
- `ndjson`: JSON of any layout as one record per line.
- `file_faults`: error message for the first unusable record of a file.
- `means`: means over 5 minutes, expanded to readings every 5 s.
- `metrics`: names of metrics, and a check that a metric is power in watts.
"""
