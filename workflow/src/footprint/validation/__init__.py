"""All methods on the same recorded runs, against a wattmetre that measured the whole node.

The recordings are those of Jay et al., "An experimental comparison of software-based power meters"
(CCGrid 2023); what they show is in `docs/validation-gemini.md`.
"""
