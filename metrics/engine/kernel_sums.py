"""Row sums of the cubic kernel ``(x·y / d + 1)³`` over all pairs, in blocks and in float64.

One triangular pass over the rows of a sample serves any number of masks at once: the sums over all
re-splits of the real rows are columns of one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.sample import Floats

MEMORY = 256 * 2**20


@dataclass(frozen=True, eq=False)
class KernelSums:
    """Mean kernel of each row to its own side (without itself) and to the other side.

    Attributes:
        reference_within: ``(n,)`` reference rows to the other reference rows.
        reference_across: ``(n,)`` reference rows to candidate rows.
        candidate_within: ``(m,)`` candidate rows to the other candidate rows.
        candidate_across: ``(m,)`` candidate rows to reference rows.
    """

    reference_within: Floats
    reference_across: Floats
    candidate_within: Floats
    candidate_across: Floats


def kernel_sums(reference: Floats, candidate: Floats, *, memory: int = MEMORY) -> KernelSums:
    """The sums for two samples.

    Args:
        reference: ``(n, d)``.
        candidate: ``(m, d)``.
        memory: Budget in bytes for one block.
    """
    to_candidate, to_reference = across_means(reference, candidate, memory=memory)
    return KernelSums(
        within_means(reference, memory=memory), to_candidate, within_means(candidate, memory=memory), to_reference
    )


def within_means(features: Floats, *, memory: int = MEMORY) -> Floats:
    """``(n,)`` mean kernel of each row to the others of its sample."""
    sums = within_sums(features, np.ones((len(features), 1), dtype=bool), memory=memory)[:, 0]
    return np.asarray(sums / max(1, len(features) - 1))


def within_sums(features: Floats, masks: NDArray[np.bool_], *, memory: int = MEMORY) -> Floats:
    """``(n, c)`` sums of the kernel from each row to the *other* rows of each mask.

    Args:
        features: ``(n, d)``.
        masks: ``(n, c)`` membership of the rows in ``c`` subsets.
        memory: Budget in bytes for one block.
    """
    rows, weights = _lifted(features), masks.astype(np.float64)
    sums = np.zeros(weights.shape)
    for i, part in _tiles(len(rows), memory):
        for j, other in _tiles(len(rows), memory):
            if j < i:
                continue
            kernel = _cubed(rows[part], rows[other])
            if i == j:
                np.fill_diagonal(kernel, 0.0)
            else:
                sums[other] += kernel.T @ weights[part]
            sums[part] += kernel @ weights[other]
    return sums


def across_means(left: Floats, right: Floats, *, memory: int = MEMORY) -> tuple[Floats, Floats]:
    """``(n,)`` and ``(m,)`` mean kernel of each row to the rows of the other sample."""
    one, other = _lifted(left), _lifted(right)
    of_left, of_right = np.zeros(len(one)), np.zeros(len(other))
    for _, rows in _tiles(len(one), memory):
        for _, columns in _tiles(len(other), memory):
            kernel = _cubed(one[rows], other[columns])
            of_left[rows] += kernel.sum(1)
            of_right[columns] += kernel.sum(0)
    return of_left / max(1, len(other)), of_right / max(1, len(one))


def split_sums(features: Floats, splits: NDArray[np.bool_], *, memory: int = MEMORY) -> list[KernelSums]:
    """The sums for many splits of the same rows into two sides, from one pass.

    Args:
        features: ``(n, d)``.
        splits: ``(draws, 2, n)`` reference and candidate rows of each split.
        memory: Budget in bytes for one block.
    """
    return side_means(within_sums(features, splits.reshape(2 * len(splits), -1).T, memory=memory), splits)


def side_means(sums: Floats, splits: NDArray[np.bool_]) -> list[KernelSums]:
    """Means over the two sides of each split.

    Args:
        sums: ``(n, 2 draws)`` sums of each row to the other rows of each side of each split.
        splits: ``(draws, 2, n)`` reference and candidate rows of each split.
    """
    sums = sums.reshape(-1, len(splits), 2)
    made = []
    for draw, (reference, candidate) in enumerate(splits):
        n, m = int(reference.sum()), int(candidate.sum())
        to_reference, to_candidate = sums[:, draw, 0], sums[:, draw, 1]
        made.append(
            KernelSums(
                to_reference[reference] / max(1, n - 1),
                to_candidate[reference] / max(1, m),
                to_candidate[candidate] / max(1, m - 1),
                to_reference[candidate] / max(1, n),
            )
        )
    return made


def _lifted(features: Floats) -> Floats:
    """Rows whose inner products are ``x·y / d + 1``."""
    n, d = features.shape
    made = np.ones((n, d + 1))
    np.divide(features, np.sqrt(d), out=made[:, :d])
    return made


def _cubed(left: Floats, right: Floats) -> Floats:
    inner = left @ right.T
    cube = inner * inner
    cube *= inner
    return np.asarray(cube)


def _tiles(n: int, memory: int) -> Iterator[tuple[int, slice]]:
    side = int(min(512, max(16, (memory // 32) ** 0.5)))
    for number, start in enumerate(range(0, n, side)):
        yield number, slice(start, min(n, start + side))
