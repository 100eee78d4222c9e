"""Parser of Grid'5000's Reference API, which describes clusters and nodes.

The package takes answers of the API and returns rows of `schemas.Nodes`: cores, GPUs, memory (B),
power limits (W), queues and power metrics of each node.

Modules:
    descriptions: Descriptions in an answer, and the row of each node.
"""
