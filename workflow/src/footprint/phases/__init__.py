"""Merge jobs into runs, classify the runs, and compare development with training.

Takes the jobs and allocations of a site (`schemas.Jobs`, `schemas.Allocations`), the total
energy of jobs (kWh), the power samples of their nodes and GPUs (W), and the labels of jobs. Gives
the run of each job (`schemas.RunOfJob`), the kind, role and phase of each run (`schemas.Runs`), and
the ratio R of development to training of each paper and project (`schemas.PhaseRatio`).
Definitions, rules and limits are in `docs/phases.md`.

- `chains`: merge the jobs of one piece of work into runs.
- `power_ranges`: idle and highest power of nodes and GPUs.
- `power_histograms`: seconds of each job at each step of power.
- `command_lines`: the parts of a command that may name its work.
- `job_words`: the work that words of commands and job names stand for.
- `neighbours`: features of a run from other runs of its user.
- `similar_runs`: features of a run from what its user usually does.
- `features`: all features of each run.
- `thresholds`: thresholds of the rules, with their defaults.
- `rules`: the ordered rules that give a kind.
- `classifier`: kinds of runs by rules and labels, also under varied thresholds.
- `power_shape`: properties of the power of a run's own hardware.
- `feature_bins`, `binned_features`: the bins of the features that weights read.
- `kind_weights`: weights of the bins for each kind, and their file.
- `weighed_kinds`: probabilities of the kinds of runs by weights, with reasons.
- `roles`: roles and phases of runs.
- `assembly`: the tables of runs and of the run of each job.
- `energies`: total energies of runs, with their intervals.
- `recorded_time`: node time held by the records of jobs, and its part with known energy.
- `ratio`: energy of development over energy of training.
- `kind_probabilities`: probability of each kind of a run.
- `kind_draws`: draws of the energy that uncertain kinds move between the sides of a ratio.
- `ratio_intervals`: 95 % intervals of the ratios.
- `ratio_budget`: sources of the uncertainty of the ratios.
- `kind_moves`: draws of the energy that uncertain kinds move between kinds.
- `part_energies`: energies of phases and kinds, with intervals.
- `membership`: unlabelled runs that may belong to a paper.
- `membership_scores`: probability that an unlabelled run belongs to a paper.
- `sensitivities`: ratios under other choices.
- `stages`: development by stage of the work.
- `study_ratios`: the ratios of a study with their intervals and sensitivities.
- `baseline`: the exit-state rule and "everything is training", which the classifier must beat.
- `evaluation`: accuracy of the classifier on a simulated site.
- `reliability`: probabilities of kinds against how often they are right.
- `group_agreement`: runs that differ from their labelled group in duration or power.
- `recalibration`: probabilities of kinds after labelled runs of the command, user and project.
- `reported_runs`: reported runs of uncertain kind.
- `label_proposals`: groups of runs to label, by energy in doubt.
- `label_drafts`: proposals as text, and as drafts of label rows.
- `labelling_queue`: runs whose phase no label determines, by energy.
"""
