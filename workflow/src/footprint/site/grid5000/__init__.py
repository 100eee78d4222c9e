"""The source `grid5000`: a site's services themselves, asked over the network.

`http` asks, `answers` keeps what came, `service` joins the two; `descriptions` are the nodes,
`jobs` and `samples` what their names say, and `planning` tells beforehand what a study will take.
`site` joins all. It is not imported here: the Snakefile wants the clusters alone, on every start.
"""
