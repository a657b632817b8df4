"""Images as small grey pictures, and the 64-bit hashes that find pictures which look alike."""

from __future__ import annotations

import math
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


def smoothed(pictures: Pictures) -> Pictures:
    """Every pixel averaged with its neighbours, weighted 1, 2, 1 down and along.

    What storing, scaling and noise add is mostly finer than that, what pictures show is not.

    >>> dot = np.zeros((1, 3, 3), dtype=np.float32)
    >>> dot[0, 1, 1] = 16.0
    >>> smoothed(dot)[0].tolist()
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    _, height, width = pictures.shape
    down, along = _mixing(height), _mixing(width).T
    made = np.empty_like(pictures)
    for low in range(0, len(pictures), BLOCK):
        made[low : low + BLOCK] = down @ pictures[low : low + BLOCK] @ along
    return made


def _mixing(size: int) -> Pictures:
    """``(size, size)``: the share of each pixel in each smoothed one; beyond the edge, it repeats."""
    made = np.zeros((size, size), dtype=np.float32)
    places = np.arange(size)
    for step, share in ((-1, 0.25), (0, 0.5), (1, 0.25)):
        made[places, np.clip(places + step, 0, size - 1)] += np.float32(share)
    return made


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


def frequency_hash(pictures: Pictures) -> Hashes:
    """64 bits a picture: which of the 8 x 8 slowest waves in it (DCT-II) are stronger than their median.

    Plain backgrounds, whose boxes differ by noise alone, do not disturb it as they do
    :func:`difference_hash`: of copies of Fashion images stored as JPEG at quality 30 it finds 99 %
    among 1,000, the other hash two thirds. The pHash of the imagehash library, by box means.

    >>> wave = np.cos(np.pi * (np.arange(32, dtype=np.float32) + 0.5) / 32)
    >>> np.unpackbits(frequency_hash(wave[None, None, :] + 2 * wave[None, :, None]).view(np.uint8))[[1, 8]].tolist()
    [1, 1]
    """
    _, height, width = pictures.shape
    waves = _waves(height) @ pictures @ _waves(width).T
    flat = waves.reshape(len(pictures), 64)
    return np.packbits(flat > np.median(flat, axis=1, keepdims=True), axis=1).view(np.uint64)[:, 0]


def _waves(size: int) -> Pictures:
    """``(8, size)``: the slowest orthonormal cosines of :data:`SIDE` box means of so many pixels."""
    order, place = np.arange(8)[:, None], np.arange(SIDE)[None, :]
    cosines = np.cos(np.pi * order * (place + 0.5) / SIDE) * np.where(order, 1.0, math.sqrt(0.5))
    return np.asarray(cosines @ _boxes(size, SIDE), dtype=np.float32)


def alike(query: Hashes, base: Hashes) -> Rows:
    """The base hash that differs in the fewest bits from each query's, the first of several."""
    made = np.empty(len(query), dtype=np.intp)
    for start in range(0, len(query), BLOCK):
        part = query[start : start + BLOCK]
        made[start : start + BLOCK] = np.bitwise_count(part[:, None] ^ base[None, :]).argmin(1)
    return made
