"""The source `generic`: plain tables of any cluster, as CSV or Parquet.

A user exports the tables from any scheduler and any meter (docs/your-cluster.md).

- `columns`: columns of the tables, with their units.
- `folders`: files of each table, their headers and clusters.
- `rows`: rows of a file in blocks, and the place of a faulty cell.
- `cells`: typed values from the texts of cells.
- `node_lists`: names in lists of nodes, as schedulers write them.
- `hardware`: nodes.
- `jobs`: jobs, and the nodes that they name.
- `allocations`: cores and GPUs of jobs on nodes.
- `numbered_parts`: numbers of the cores and GPUs of jobs that hold a part of a node.
- `core_places`: places on a node that no other job has.
- `states`: intervals in which nodes could not be used.
- `readings`: readings of power, counters and devices, converted to indexed Parquet files.
- `counters`: power between the readings of an energy counter.
- `checking`: all faults of a folder, before a study.
- `site`: the site of a folder.
"""
