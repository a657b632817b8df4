"""Does the release tell which two halves of a record belong together?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.column_neighbours import nearest_by_columns
from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Evidence, Group
from counterproof.metrics.leakage._disclosure.risk import Rates, told
from counterproof.metrics.leakage._disclosure.targets import Targets, find_targets
from counterproof.metrics.metric import Count, Needs, Value, metric
from counterproof.metrics.sample import Floats, Mixed, Rows
from counterproof.metrics.workbench import Workbench

LISTED = 1000
Split = tuple[tuple[str, ...], tuple[str, ...]]
LINKS: Work[dict[str, Links]] = Work("links between halves of records")


@dataclass(frozen=True, eq=False)
class Links:
    """Which targets are linked under one split of the columns, and by which release row.

    Attributes:
        linked: ``(targets,)``.
        by: ``(targets,)`` position of the nearest release row on the first half.
        distance: ``(targets,)`` to it, over the columns of the first half.
    """

    linked: NDArray[np.bool_]
    by: Rows
    distance: Floats

    @classmethod
    def none(cls, size: int) -> Links:
        """Nothing linked yet."""
        return cls(np.zeros(size, dtype=bool), np.zeros(size, dtype=np.intp), np.zeros(size))


@metric(
    id="leakage.linkability",
    family="leakage",
    title="linking two halves of a record",
    unit="risk",
    null="membership",
    needs=Needs(holdout=True, modalities=frozenset({"table"}), smallest_n=100),
    reads=("columns",),
)
def linkability(
    bench: Workbench, *, columns: tuple[tuple[str, ...], ...] = (), k: Count = 1, attacks: Count = 5000
) -> Iterator[Value]:
    """Records whose two halves the release links, in excess of records that the generator never saw.

    An attacker holds some columns of a person in one file and the others in another. If the release row nearest
    to the one half (Gower distance) is also the nearest to the other half, the halves belong together. The
    columns are split in three ways (contiguous, every other one, at random), of which the worst is reported.
    Ties go by one random order of the release rows.

    Formula:
        risk = (attack rate on training records − rate on holdout records) / (1 − rate on holdout records)

    How to read it:
        0 means that training records are linked no more often than holdout records; 0.1 means that a tenth of
        those that would not be linked otherwise are.

    Limits:
        What is found depends much on the split: name the columns of the two files if you know them. It has no
        default gate.

    Args:
        bench: The samples.
        columns: Two lists of columns that replace the splits.
        k: How many release rows nearest to each half are looked at; one in common links.
        attacks: Records attacked on each side, at most.

    Yields:
        value: The risk for the worst split and, by ``split``, for each.
        attack: Rate of links for training records.
        control: Rate of links for holdout records.
        baseline: Rate of links by chance.

    Raises:
        MetricError: The options are none that can be used.

    Source:
        Giomi et al. (2022), arXiv:2211.10459.
    """
    if k < 1 or attacks < 1:
        raise MetricError("leakage.linkability: give k and attacks of 1 or more")
    mixed = bench.varying
    if mixed is None or len(mixed.columns) < 2:
        yield Value(status="not_assessable", reason="fewer than two columns vary, so that no record has two halves")
        return
    if len(bench.release) < 2 * k:
        yield Value(status="not_assessable", reason=f"the release has {len(bench.release)} rows: any two are linked")
        return
    splits = {"given": given_split(mixed, columns)} if columns else splits_of(mixed, bench.seed)
    targets = find_targets(bench, attacks)
    if targets.problem:
        yield Value(status="not_assessable", reason=targets.problem)
        return
    found = bench.shared(
        LINKS.about(bench.real, bench.release, splits=tuple(splits.items()), k=k, attacks=attacks),
        lambda: link(bench, targets, splits, k),
    )
    guess = chance_of_a_link(len(bench.release), k)
    baseline = Estimate.point(guess, level=bench.level, method="two random choices")
    rates: dict[Group, Rates] = {}
    for name, links in found.items():
        hits = links.linked[targets.member].sum(), links.linked[~targets.member].sum()
        rates[(("split", name),)] = Rates(hits=(int(hits[0]), int(hits[1])), sizes=targets.sizes, baseline=baseline)
    yield from told(
        bench,
        rates,
        remark=targets.remark,
        evidence=lambda group: _linked_records(bench, targets, str(group[0][1]), found),
    )


def given_split(mixed: Mixed, columns: tuple[tuple[str, ...], ...]) -> Split:
    """The split that a user asks for.

    Raises:
        MetricError: It is not two disjoint lists of columns that vary.
    """
    if len(columns) != 2 or not all(columns):
        raise MetricError("leakage.linkability: columns are two lists of columns, such as [['age'], ['income']]")
    first, second = columns
    unknown = [name for name in (*first, *second) if name not in mixed.columns]
    if unknown:
        raise MetricError(
            f"leakage.linkability: {unknown[0]!r} is no column that varies; there are {', '.join(mixed.columns)}"
        )
    if set(first) & set(second):
        raise MetricError(f"leakage.linkability: {min(set(first) & set(second))!r} stands in both lists of columns")
    return first, second


def splits_of(mixed: Mixed, seed: int) -> dict[str, Split]:
    """Three ways to part the columns in halves; those that come out the same are one."""
    names = mixed.columns
    half = len(names) // 2
    order = np.random.default_rng([seed, 11]).permutation(len(names))
    mixed_up = tuple(names[at] for at in order)
    made = {
        "contiguous": (names[:half], names[half:]),
        "interleaved": (names[::2], names[1::2]),
        "random": (mixed_up[:half], mixed_up[half:]),
    }
    seen: set[frozenset[frozenset[str]]] = set()
    kept = {}
    for name, (first, second) in made.items():
        key = frozenset((frozenset(first), frozenset(second)))
        if key not in seen:
            kept[name] = (first, second)
        seen.add(key)
    return kept


def link(bench: Workbench, targets: Targets, splits: Mapping[str, Split], k: int) -> dict[str, Links]:
    """Attack every target under every split."""
    assert bench.varying is not None
    base = bench.release.rows
    halves = [half for split in splits.values() for half in split]
    order = np.random.default_rng([bench.seed, 13]).permutation(len(base))
    made = {name: Links.none(len(targets.rows)) for name in splits}
    batches = nearest_by_columns(
        bench.varying, targets.rows, base, halves, k=k, memory=bench.memory, device=bench.device
    )
    for part, found in batches:
        for at, links in enumerate(made.values()):
            near, far = found[2 * at : 2 * at + 2]
            one, other = near.first(order, k), far.first(order, k)
            links.linked[part] = (one[:, :, None] == other[:, None, :]).any((1, 2))
            links.by[part], links.distance[part] = base[one[:, 0]], near.closest
    return made


def chance_of_a_link(rows: int, k: int) -> float:
    """The chance that two random choices of ``k`` rows have one in common.

    >>> round(chance_of_a_link(100, 1), 4), round(chance_of_a_link(100, 2), 4)
    (0.01, 0.0398)
    """
    return 1 - comb(rows - k, k) / comb(rows, k) if rows > 2 * k else 1.0


def _linked_records(bench: Workbench, targets: Targets, name: str, found: Mapping[str, Links]) -> tuple[Evidence, ...]:
    """Train records that a split links, nearest first."""
    links, names = found[name], bench.corpus.names
    at = np.flatnonzero(links.linked & targets.member)
    at = at[np.argsort(links.distance[at], kind="stable")]
    rows = tuple((str(names[targets.rows[i]]), str(names[links.by[i]]), float(links.distance[i])) for i in at[:LISTED])
    if not rows:
        return ()
    note = f"Nearest first; the first {len(rows)} of {len(at)}. Holdout records are linked too: see control."
    columns = ("training row", "release row", "distance of the first half")
    return (
        Evidence(title=f"Training rows linked by the split {name}: {len(at)}", columns=columns, rows=rows, note=note),
    )
