"""Whom attacks are aimed at: one record of each source, in train or in the holdout, not in both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.sample import Rows
from counterproof.metrics.workbench import Workbench

PAIRS = 2 * 10**8  # pairs of a target and a release row that one search may look at
TARGETS: Work[tuple[Rows, int, bool]] = Work("records that are attacked")


@dataclass(frozen=True, eq=False)
class Targets:
    """Real records under attack.

    Attributes:
        rows: Positions in the corpus.
        member: Whether the generator learned from each.
        left_out: Records that stand in train and in the holdout, which tell nothing.
        capped: Whether there were more than were attacked.
    """

    rows: Rows
    member: NDArray[np.bool_]
    left_out: int
    capped: bool

    @cached_property
    def sizes(self) -> tuple[int, int]:
        """Members and others."""
        return int(self.member.sum()), int((~self.member).sum())

    @property
    def problem(self) -> str:
        """Why nobody can be attacked, if so."""
        if all(self.sizes):
            return ""
        side = "train" if not self.sizes[0] else "holdout"
        return f"every record of the {side} also stands in the other real table: members cannot be told from others"

    @property
    def remark(self) -> str:
        """What a reader should know of the choice."""
        parts = [f"{self.sizes[0]} train and {self.sizes[1]} holdout records attacked"]
        parts += ["a seeded choice of them"] if self.capped else []
        parts += [f"{self.left_out} rows that stand in both are left out"] if self.left_out else []
        return ", ".join(parts)


def find_targets(bench: Workbench, attacks: int) -> Targets:
    """Up to ``attacks`` records a side; the same records in every view, whose membership it tells.

    Of rows of one source, which are not independent, one is attacked. Without sources every row is a
    record, unless one side repeats its rows (a table made larger by copies): there equal rows are one.
    Rows that stand in both sides are left out where they are more than the sides' own twins explain.
    """
    most = max(100, min(attacks, PAIRS // (2 * max(1, len(bench.release)))))
    rows, left_out, capped = bench.shared(TARGETS.about(bench.real, most=most), lambda: _choose(bench, most))
    assert bench.train is not None
    return Targets(rows, np.isin(rows, bench.train.rows), left_out, capped)


def _choose(bench: Workbench, most: int) -> tuple[Rows, int, bool]:
    assert bench.train is not None
    assert bench.holdout is not None
    known = bench.train.join(bench.holdout, "known")
    member = np.arange(len(known)) < len(bench.train)
    twin = units(known.digests, None)
    counts = np.stack([np.bincount(twin[side], minlength=twin.max() + 1) for side in (member, ~member)])
    source = np.arange(len(known))
    if bench.corpus.clusters is not None:
        source = units(known.digests, bench.corpus.clusters[known.rows])
    elif repeated(counts):
        source = twin
    both = np.zeros(len(known), dtype=bool)
    if shared_beyond_chance(counts):
        both = (counts[0][twin] > 0) & (counts[1][twin] > 0)
    inside, outside = (np.bincount(source[side], minlength=source.max() + 1) > 0 for side in (member, ~member))
    if bench.corpus.clusters is not None:
        both |= (inside & outside)[source]
    order = np.random.default_rng([bench.seed, 97]).permutation(len(known))
    first = order[np.sort(np.unique(source[order], return_index=True)[1])]
    alone = first[~both[first]]
    sides = [alone[member[alone]], alone[~member[alone]]]
    picked = np.sort(np.concatenate([side[:most] for side in sides]))
    return known.rows[picked], int(both.sum()), any(len(side) > most for side in sides)


def repeated(counts: Rows) -> bool:
    """Whether one side has more rows with a twin than the other explains.

    Args:
        counts: ``(2, records)`` rows of each record on each side.
    """
    twins, sizes = np.where(counts > 1, counts, 0).sum(1), counts.sum(1)
    grown = sizes / np.maximum(sizes[::-1], 1)
    explained = twins[::-1] * grown * np.maximum(1.0, grown)  # a larger side finds more twins for a row
    return any(_exceeds(found, natural) for found, natural in zip(twins, explained, strict=True))


def shared_beyond_chance(counts: Rows) -> bool:
    """Whether more holdout rows stand in train than have a twin in the holdout, for the size of train.

    Args:
        counts: ``(2, records)`` rows of each record in train and holdout.
    """
    train, holdout = counts
    twins = holdout[holdout > 1].sum() * max(1.0, train.sum() / max(1, holdout.sum()))
    return _exceeds(holdout[train > 0].sum(), twins)


def _exceeds(found: float, expected: float) -> bool:
    return bool(found > 1.5 * expected + 5 * np.sqrt(expected) + 5)


def units(digests: NDArray[np.bytes_], clusters: NDArray[np.intp] | None) -> Rows:
    """A number for each row, the same for rows of one source or, where none is known, for equal rows.

    >>> units(np.array([b"x", b"y", b"x"]), None).tolist()
    [0, 1, 0]
    """
    return np.unique(digests if clusters is None else clusters, return_inverse=True)[1]
