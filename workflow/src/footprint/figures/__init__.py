"""Figures: one module each, named as the figure, with a function `plot` that returns it."""
