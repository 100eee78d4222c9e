"""What model-based tools say of the same jobs: one module a tool, one signature, one registry.

An estimator is a function of `facts.Facts`, what jobs held and what is known of it, that gives the
parts of the energy of each job. Equations, constants and sources: `docs/estimators.md`.
"""
