"""Images as small grey pictures, and the 64-bit hashes that find pictures which look alike."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.sample import Rows

SMALL, TINY = 64, 12  # images between these sizes are compared as they are stored
SIDE = 32  # larger ones, and sets of many sizes, at this one
BLOCK = 256
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

Pictures = NDArray[np.float32]
Hashes = NDArray[np.uint64]


def pictures(pixels: Callable[[int], NDArray[np.uint8]], rows: Rows) -> Pictures:
    """``(n, h, w)`` grey pictures of some rows, from 0 to 255.

    Small images of one size keep it; others are brought to :data:`SIDE` a side by averages over
    boxes, so that no pixel of them goes unseen.

    Args:
        pixels: A row as ``(h, w, 3)``.
        rows: Which rows.
    """

    def grey(row: int) -> Pictures:
        made: Pictures = np.asarray(pixels(row), dtype=np.float32) @ LUMA
        return made if min(made.shape) >= TINY and max(made.shape) <= SMALL else shrunk(made, SIDE, SIDE)

    with ThreadPoolExecutor(os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()) as pool:
        made = list(pool.map(grey, rows.tolist()))
    if len({picture.shape for picture in made}) > 1:
        made = [shrunk(picture, SIDE, SIDE) for picture in made]
    return np.stack(made)


def shrunk(picture: Pictures, height: int, width: int) -> Pictures:
    """A picture averaged over boxes to another size.

    >>> shrunk(np.array([[0.0, 2.0], [4.0, 6.0]], dtype=np.float32), 1, 2).tolist()
    [[2.0, 4.0]]
    """
    made = _boxes(picture.shape[0], height) @ picture @ _boxes(picture.shape[1], width).T
    return np.asarray(made, dtype=np.float32)


def _boxes(old: int, new: int) -> Pictures:
    """``(new, old)``: the share of each old pixel in each new one."""
    edges = np.arange(new + 1) * (old / new)
    low, high = edges[:-1, None], edges[1:, None]
    at = np.arange(old)[None, :]
    inside = np.clip(np.minimum(high, at + 1) - np.maximum(low, at), 0, None)
    return np.asarray(inside * (new / old), dtype=np.float32)


def difference_hash(pictures: Pictures) -> Hashes:
    """64 bits a picture: whether each of 8 x 9 box means is darker than the one to its right.

    The hash outlives re-encoding and resizing. Pictures of one hash are candidates, no more: plain
    pictures share theirs with many.

    >>> ramp = np.tile(np.arange(18, dtype=np.float32), (16, 1))
    >>> int(difference_hash(ramp[None])[0]) == 2**64 - 1
    True
    """
    _, height, width = pictures.shape
    small = _boxes(height, 8) @ pictures @ _boxes(width, 9).T
    bits = (small[:, :, :-1] < small[:, :, 1:]).reshape(len(pictures), 64)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def alike(query: Hashes, base: Hashes) -> Rows:
    """The base hash that differs in the fewest bits from each query's, the first of several."""
    made = np.empty(len(query), dtype=np.intp)
    for start in range(0, len(query), BLOCK):
        part = query[start : start + BLOCK]
        made[start : start + BLOCK] = np.bitwise_count(part[:, None] ^ base[None, :]).argmin(1)
    return made
