"""Factors between units, and between deviations and intervals.

Factors, since Polars divides by a constant in two ways, which differ in the last bit, and which it
takes depends on the number of threads.
"""

KWH_PER_J = 1 / 3.6e6
H_PER_S = 1 / 3600

# Half width at 95 % of a normal error, in standard deviations.
Z95 = 1.96
