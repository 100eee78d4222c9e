"""Factors between units, and between standard deviations and intervals.

Values are multiplied by a factor, never divided by a constant: Polars divides by a constant in two
ways that differ in the last bit, and the number of threads decides which one is used.
"""

KWH_PER_J = 1 / 3.6e6
H_PER_S = 1 / 3600
S_PER_H = 3600

# Half width of the 95 % interval of a normal distribution, in standard deviations.
Z95 = 1.96
