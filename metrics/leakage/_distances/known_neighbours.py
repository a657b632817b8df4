"""Proximity: rows against all known records, nearest first, whoever turns out to be a member.

The lists hold train and holdout alike, so that one search answers for the true membership and for
every way to deal it anew. The known records stand in random order: of many that are equally far, a
list holds a random part, never the first ones.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.pairwise_pass import TIE
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.sample import Floats, Rows, Sample
from counterproof.metrics.workbench import Workbench

SHOWN = 20
POOL: Work[Sample] = Work("known records in random order")
PROXIMITY: Work[Proximity] = Work("nearest known records")


def role_sizes(bench: Workbench, near: Proximity) -> dict[str, int]:
    return {"train": len(bench.train or ()), "holdout": len(bench.holdout or ()), "release": len(near.asked)}


def blind_reason(*lists: Proximity) -> str:
    told = "blind to 1-2 % of copies, and without its floor alarmed by mode collapse, so not gated: see leakage.copies"
    remark = asked_remark(*lists)
    return f"{told}; {remark}" if remark else told


Flags = NDArray[np.bool_]
Asked = Literal["release", "known"]
MOST = 5000
"""Rows of the release, and known records, that are asked; what they are held against is never cut."""
LEAST = 20
DEEPEST = 256
HALVES = 40


@dataclass(frozen=True, eq=False, kw_only=True)
class Proximity:
    """The nearest known records of each row that is asked.

    Attributes:
        asked: The rows.
        pool: All known records, in random order.
        distance: ``(n, k)`` ascending.
        index: ``(n, k)`` positions in the pool.
        gower: Whether distances are Gower's.
    """

    asked: Sample
    pool: Sample
    distance: Floats
    index: Rows
    gower: bool

    def take(self, at: Rows) -> Proximity:
        """Some of the rows that are asked."""
        asked = self.asked.take(at, f"some of {self.asked.name}")
        return replace(self, asked=asked, distance=self.distance[at], index=self.index[at])


def pool_of(bench: Workbench) -> Sample:
    """Train and holdout rows together, in a random order that no view changes."""

    def shuffle() -> Sample:
        rng = np.random.default_rng([bench.seed, zlib.crc32(b"known in random order")])
        return bench.real.take(rng.permutation(len(bench.real)), "known in random order")

    return bench.shared(POOL.about(bench.real), shuffle)


def members_of(bench: Workbench) -> Flags:
    """Which records of the pool are training records in this view."""
    assert bench.train is not None
    return np.isin(pool_of(bench).rows, bench.train.rows)


def proximity_of(bench: Workbench, asked: Asked, *, gower: bool, all_known: bool = False) -> Proximity:
    """Lists of the release's rows, or of known records, made once for all views.

    Args:
        bench: The samples.
        asked: Whose lists; at most ``MOST`` rows, drawn by the seed.
        gower: Gower distance where the data are a table.
        all_known: Ask every known record, and leave each out of its own list.
    """
    pool = pool_of(bench)

    def search() -> Proximity:
        sample = pool if all_known else _some(bench, asked)
        found = bench.neighbours(sample, pool, _depth(bench, len(pool) - all_known), gower=gower)
        return Proximity(asked=sample, pool=pool, distance=found.distance, index=found.index, gower=gower)

    return bench.shared(
        PROXIMITY.about(bench.real, bench.release, asked=asked, gower=gower, all_known=all_known), search
    )


def _some(bench: Workbench, asked: Asked) -> Sample:
    sample = bench.release if asked == "release" else pool_of(bench)
    if len(sample) <= MOST:
        return sample
    rng = np.random.default_rng([bench.seed, zlib.crc32(b"asked"), asked == "release"])
    return sample.take(np.sort(rng.permutation(len(sample))[:MOST]), f"asked of the {asked}")


def _depth(bench: Workbench, most: int) -> int:
    """Far enough that hardly a list lacks records of the smaller side."""
    assert bench.train is not None
    assert bench.holdout is not None
    share = min(len(bench.train), len(bench.holdout)) / len(bench.real)
    return min(most, DEEPEST, math.ceil(20 / share))


def first(bench: Workbench, near: Proximity, allowed: Flags, count: int = 1) -> tuple[Floats, Rows]:
    """The nearest allowed records of each row: ``(n, count)`` distances and positions in the pool.

    Lists that hold too few are completed by a search among the allowed records.

    Args:
        bench: The samples.
        near: The lists.
        allowed: ``(len(pool),)`` or ``(n, k)`` flags: which records count, for all rows or place by place.
        count: How many of them; infinitely far where there are fewer.
    """
    kept = allowed[near.index] if allowed.ndim == 1 else allowed
    rank = np.cumsum(kept, axis=1, dtype=np.int16)
    distance, index = np.full((len(kept), count), np.inf), np.zeros((len(kept), count), dtype=np.intp)
    for at in range(count):
        here = kept & (rank == at + 1) if count > 1 else kept
        place = here.argmax(1)[:, None]
        told = here.any(1)
        distance[told, at] = np.take_along_axis(near.distance, place, 1)[told, 0]
        index[told, at] = np.take_along_axis(near.index, place, 1)[told, 0]
    short = np.flatnonzero(rank[:, -1] < count)
    if len(short) and allowed.ndim == 1:
        distance[short], index[short] = among(bench, near, short, np.flatnonzero(allowed), count)
    return distance, index


def among(bench: Workbench, near: Proximity, rows: Rows, places: Rows, count: int) -> tuple[Floats, Rows]:
    """The nearest of some places of the pool for some rows, searched for; a record is not its own."""
    distance, index = np.full((len(rows), count), np.inf), np.zeros((len(rows), count), dtype=np.intp)
    own = near.asked.rows[rows][:, None]
    name = f"{zlib.crc32(rows.tobytes())} {zlib.crc32(places.tobytes())}"
    query, base = near.asked.take(rows, f"asked again {name}"), near.pool.take(places, f"held against {name}")
    # where both are the same rows, the search itself leaves each record out of its own list
    most = min(count, len(base) - 1) if query.content == base.content else min(count + 1, len(base))
    if most < 1:
        return distance, index
    found = bench.neighbours(query, base, most, gower=near.gower)
    order = np.argsort(base.rows[found.index] == own, axis=1, kind="stable")  # itself comes last
    found_index = np.take_along_axis(found.index, order, 1)
    found_distance = np.take_along_axis(found.distance, order, 1)
    found_distance = np.where(base.rows[found_index] == own, np.inf, found_distance)
    kept = min(count, most)
    distance[:, :kept], index[:, :kept] = found_distance[:, :kept], places[found_index[:, :kept]]
    return distance, index


# -- chance -----------------------------------------------------------------------------------------


def dealt(bench: Workbench, purpose: str, count: int) -> NDArray[np.bool_]:
    """``(count, len(pool))`` ways to deal membership; rows of one source stay together."""
    pool, size = pool_of(bench), int(members_of(bench).sum())
    rng = bench.generator(purpose)
    made = np.zeros((count, len(pool)), dtype=bool)
    for deal in made:
        deal[pool.shuffled(rng)[:size]] = True
    return made


def half_rows(sample: Sample, rng: np.random.Generator) -> Flags:
    """Flags of a random half of a sample's rows; rows of one source stay together."""
    kept = np.zeros(len(sample), dtype=bool)
    kept[sample.half(rng)] = True
    return kept


def below(left: Floats, right: Floats) -> Floats:
    """1 where left is less, one half where the two tie, else 0."""
    with np.errstate(invalid="ignore"):
        tie = np.isclose(left, right, rtol=TIE, atol=0.0) | (left == right)
    return np.where(tie, 0.5, (left < right).astype(np.float64))


def too_few(bench: Workbench, what: str) -> str:
    """Why nothing can be told, if there are too few rows or sources."""
    assert bench.train is not None
    assert bench.holdout is not None
    sides = {"train": bench.train, "holdout": bench.holdout, "release": bench.release}
    for name, sample in sides.items():
        if len(sample) < LEAST:
            return f"{what} needs {LEAST} rows of {name}, and there are {len(sample)}"
        if name != "release" and sample.sources < LEAST:
            return f"{what} needs {LEAST} sources of {name} rows, and there are {sample.sources}"
    return ""


def asked_remark(*lists: Proximity) -> str:
    """How many rows were asked, where that is not all of them."""
    cut = [near for near in lists if near.asked.name.startswith("asked of the ")]
    return ", ".join(f"{len(near.asked)} rows {near.asked.name}, drawn by the seed" for near in cut)
