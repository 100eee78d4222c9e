"""Weighted least squares with non-negative parameters, shrunk towards prior values.

Minimises `sum_ij G_ij t_i t_j - 2 sum_i h_i t_i + sum_i k_i (t_i - p_i)^2` over `t >= 0`, with `G`
the weighted products of the regressors, `h` their weighted products with the response, `p` the
prior and `k` its weights (Hoerl and Kennard, "Ridge Regression", Technometrics 12, 1970). With
`k > 0` the minimum is unique. A few unknowns need no library: all sets of zero parameters are
tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

Vector = Sequence[float]
Matrix = Sequence[Vector]


def fit_nonnegative(
    products: Matrix, moments: Vector, prior: Vector, weights: Vector
) -> list[float]:
    """Return the non-negative parameters of the shrunk least-squares fit.

    Args:
        products: Weighted products of the regressors, symmetric.
        moments: Weighted product of each regressor with the response.
        prior: Value of each parameter without data, 0 or more.
        weights: Weight of each prior value, above 0.
    """
    n = len(prior)
    matrix = [
        [products[i][j] + (weights[i] if i == j else 0.0) for j in range(n)] for i in range(n)
    ]
    right = [moments[i] + weights[i] * prior[i] for i in range(n)]
    best, lowest = [0.0] * n, 0.0
    for size in range(1, n + 1):
        for kept in combinations(range(n), size):
            part = solve([[matrix[i][j] for j in kept] for i in kept], [right[i] for i in kept])
            # at the minimum over the kept parameters the objective is -h.t, up to a constant
            value = -sum(right[i] * each for i, each in zip(kept, part, strict=True))
            if min(part) >= 0.0 and value < lowest:
                lowest, best = value, [0.0] * n
                for i, each in zip(kept, part, strict=True):
                    best[i] = each
    return best


def solve(matrix: Matrix, right: Vector) -> list[float]:
    """Return the solution of a linear system with a positive definite matrix (elimination)."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    n = len(rows)
    for i in range(n):
        for below in range(i + 1, n):
            factor = rows[below][i] / rows[i][i]
            rows[below] = [
                low - factor * high for low, high in zip(rows[below], rows[i], strict=True)
            ]
    found = [0.0] * n
    for i in reversed(range(n)):
        rest = sum(rows[i][j] * found[j] for j in range(i + 1, n))
        found[i] = (rows[i][n] - rest) / rows[i][i]
    return found
