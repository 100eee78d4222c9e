"""What may leave the team: the folder `publication/` of `footprint publish`.

`results/` carries job ids, single runs and exact times, by which a reader of the cluster's job list
can find the person behind a pseudonym. This package takes the tables of a finished study and makes
public frames of them: columns by `columns`, rows by `groups`, numbers by `rounding`. Every figure,
readers' table and text of the folder is made of public frames alone. What is not listed is not
published.

- `columns`: treatment of each column of each table (public, rounded, hidden)
- `contents`: the figures and readers' tables that are published, and why others are withheld
- `folder`: writes the folder, whole or not at all
- `frames`: public frames of a study
- `groups`: groups of people that may be shown by name
- `level_rows`: rows of levels, papers and projects that are published, with their digits
- `node_rows`: energy of nodes by cluster, and by day, week or month
- `page`: one HTML page of all figures, tables and the summary
- `printed`: last look at a readers' table, whose rows are joined as they are printed
- `rounding`: digits that keep a row from matching fewer people than the minimum
- `study`: tables and settings of the study that is published
"""
