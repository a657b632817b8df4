"""How far two pictures lie apart when one of them may have been shifted, flipped, cropped or stored anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from counterproof.metrics.leakage._copy_search.perceptual_hash import Pictures
from counterproof.metrics.sample import Floats, Rows

SHIFTS = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1))
CROPS = (1, 2)
BORDER = 2  # pixels left out on every side: what a shift or a crop brings in there is unknown
BLOCK = 256


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs to look at, by query.

    Attributes:
        start: ``(nq + 1,)`` where the pairs of each query start.
        base: ``(pairs,)`` the other of each pair.
    """

    start: Rows
    base: Rows

    @classmethod
    def of(cls, queries: int, query: Rows, base: Rows) -> Candidates:
        """Pairs in any order, each kept once."""
        width = int(base.max(initial=0)) + 1
        key = np.unique(query.astype(np.int64) * width + base)
        return cls(np.searchsorted(key, np.arange(queries + 1) * width), key % width)


def nearest_pixels(query: Pictures, base: Pictures, pairs: Candidates, k: int) -> tuple[Floats, Rows]:
    """The nearest of each query's candidates under every variant of the query.

    Args:
        query: ``(nq, h, w)`` grey pictures, which are varied.
        base: ``(nb, h, w)``, which are not.
        pairs: The candidates of each query.
        k: How many.

    Returns:
        ``(nq, k)`` root mean squared differences in grey levels, infinite where there are fewer
        candidates, and ``(nq, k)`` places in the base.
    """
    distance, index = np.full((len(query), k), np.inf), np.zeros((len(query), k), dtype=np.intp)
    window = _flat(base, 0, 0)
    for low in range(0, len(query), BLOCK):
        part = variants(query[low : low + BLOCK])
        for row, versions in enumerate(part, start=low):
            found = pairs.base[pairs.start[row] : pairs.start[row + 1]]
            if not len(found):
                continue
            best = _least(versions, window[found])
            order = np.argsort(best, kind="stable")[:k]
            distance[row, : len(order)], index[row, : len(order)] = best[order], found[order]
    return distance, index


def _least(versions: Pictures, others: Pictures) -> Floats:
    """The least difference of each of the others to any version; float32 finds, float64 decides."""
    squares = (versions**2).sum(1)[:, None] - 2 * versions @ others.T
    gap = versions[squares.argmin(0)].astype(np.float64) - others
    return np.asarray(np.sqrt(np.mean(gap**2, axis=1)))


def variants(pictures: Pictures) -> Pictures:
    """``(n, v, pixels)``: what is left of each picture within the border, in every variant.

    Nine shifts of one pixel, small centre crops brought back to size, each of them mirrored too.
    """
    made = []
    for turned in (pictures, pictures[:, :, ::-1]):
        made += [_flat(turned, *shift) for shift in SHIFTS]
        made += [_flat(cropped(turned, crop), 0, 0) for crop in CROPS]
    return np.stack(made, axis=1)


def cropped(pictures: Pictures, crop: int) -> Pictures:
    """Pictures without their outermost pixels, brought back to size by linear interpolation."""
    height, width = pictures.shape[1:]
    return np.asarray(_zoom(height, crop) @ pictures @ _zoom(width, crop).T, dtype=np.float32)


def _zoom(size: int, crop: int) -> Pictures:
    """``(size, size)`` weights of the old pixels in each new one."""
    at = np.clip(crop + (np.arange(size) + 0.5) * (size - 2 * crop) / size - 0.5, crop, size - crop - 1)
    low = np.minimum(at.astype(np.intp), size - 2)
    made = np.zeros((size, size), dtype=np.float32)
    made[np.arange(size), low] = 1 - (at - low)
    made[np.arange(size), low + 1] += (at - low).astype(np.float32)
    return made


def _flat(pictures: Pictures, down: int, right: int) -> Pictures:
    """The pixels within the border, moved."""
    _, height, width = pictures.shape
    rows = slice(BORDER + down, height - BORDER + down)
    columns = slice(BORDER + right, width - BORDER + right)
    return np.ascontiguousarray(pictures[:, rows, columns]).reshape(len(pictures), -1)
