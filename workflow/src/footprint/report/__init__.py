"""What readers see: figures, readers' tables and texts of the results.

The stage takes published tables (`footprint.schemas`; energies in kWh, times in h, powers in W). It
writes figures (PDF, SVG, PNG), readers' tables (CSV, HTML, LaTeX), `results/summary.md` and the
text of a finished run.

- `appendix`: the sentence for the appendix of each paper
- `budget`: names and order of the sources of uncertainty
- `development`: the section of the summary on development and training
- `figures`: one module for each figure, and their style
- `notable_models`: training compute of notable AI models, built in or downloaded
- `real_names`: logins in place of pseudonyms, in a private folder
- `rejected_rows`: rejected rows as lines of text
- `rendering`: call of the function of a figure or table, by its name
- `sites`: sites of Grid'5000 with coordinates
- `summary`: the conclusions of a study in words
- `tables`: one module for each group of readers' tables, and their formats
- `terminal`: the text that a finished run prints
- `truth_sentence`: the sentence on the totals that contain the truth of the simulated site
- `wording`: numbers and kinds in words
"""
