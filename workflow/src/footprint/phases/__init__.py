"""From OAR jobs to runs, and from runs to development, training and inference.

`runs` merges jobs, `power_levels` and `evidence` gather what is known of each run, `kinds` decides
by ordered rules what it was, `roles` what it was for, `ratios` what development cost beside
training.
Definitions, rules and limits: `docs/phases.md`.
"""
