"""The source `grid5000`: nodes, jobs, states and power requested from the services of a site.

Takes the configuration's `source` and `download`. Gives the tables of `footprint.sources.protocol`:
nodes, jobs, allocations, rejected rows and states, and readings of power (W) and of other series.
Every answer is kept on disk, so that a second run requests only what may have changed.

- `site`: the source that rules open; joins the modules below
- `descriptions`: hardware of nodes over time, from the Reference API
- `jobs`: job records, from one of two lists
- `jobs_by_date`: the list of OAR's API, compared with OAR's own count of jobs
- `day_lists`: jobs of one day, page by page from OAR's API
- `overdue_jobs`: running jobs that OAR counts and does not list
- `jobs_newest_first`: the list of the Grid'5000 API, which has no dates
- `oarapi`: paths of OAR's API
- `job_pages`: reading of a page of either list
- `list_completeness`: counts of what the lists lack
- `samples`: readings from Kwollect, in parallel requests
- `chunks`: nodes and window of one request for readings
- `service`: requests answered from the kept answers, else over the network
- `answers`: the kept answers
- `http`: one HTTP request with retries
- `refusals`: meaning of the errors of each service
- `credentials`: user name and password
- `progress`: state of a download, in the log and on a terminal

`site` is not imported here: the Snakefile needs only the clusters at each start.
"""
