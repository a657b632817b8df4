"""Do the intervals of gaps between groups, and of their change, cover?

Run: ``python tests/simulations/simulate_gap_coverage.py [runs]``.

Two models decide about the same trial rows of known rates by group; nothing is trained. The gap of
the first model between the lowest and the highest group, and the largest change of a gap by the
second, are 0, 0.05 or 0.1; there are 2, 5 or 10 groups, the last of five rows. (What training anew
adds is simulated in ``simulate_change_coverage.py``.)
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.estimate import Estimate
from counterproof.metrics.fairness._group_rates.assessment import Comparison, groups_alone, pairs_of_groups
from counterproof.metrics.fairness._group_rates.calibration import residual_table
from counterproof.metrics.fairness._group_rates.rates import (
    FALSE_POSITIVE,
    PRECISION,
    SELECTION,
    TRUE_POSITIVE,
    Cells,
    RateTable,
    Stratum,
    precision_table,
    share_table,
)
from counterproof.metrics.fairness._group_rates.values import gap_difference, gap_ratio
from counterproof.metrics.fairness._group_rates.worst_group import minimax_change
from counterproof.metrics.shared.retraining import Change, worst_change

Floats = NDArray[np.float64]
POSITIVE, SAME, TINY = 0.4, 0.7, 5
PAIRS, OVERALL, MEAN = Comparison(), Comparison(method="to_overall"), Comparison(aggregate="mean")


@dataclass(frozen=True, eq=False, kw_only=True)
class World:
    """Groups of known rates.

    Attributes:
        sizes: ``(g,)`` trial rows.
        real: ``(2, g)`` rate of positive decisions of the first model, by truth.
        synthetic: ``(2, g)`` the same of the second.
    """

    sizes: NDArray[np.intp]
    real: Floats
    synthetic: Floats

    @classmethod
    def of(cls, groups: int, gap: float, *, rows: int, tiny: bool) -> World:
        """The gap of the first model and its change by the second are the same."""
        sizes = np.full(groups, rows)
        if tiny:
            sizes[groups // 2] = TINY
        steps = np.linspace(0, gap, groups)
        real = np.array([[0.2], [0.6]]) + steps
        return cls(sizes=sizes, real=real, synthetic=real + steps)

    def drawn(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """``(g, 2, 2, 2)`` rows by truth and both decisions; the models mostly see the same in a row."""
        counts = np.zeros((len(self.sizes), 2, 2, 2), dtype=np.intp)
        for g, size in enumerate(self.sizes):
            truth = rng.random(size) < POSITIVE
            seen = rng.random(size)
            again = np.where(rng.random(size) < SAME, seen, rng.random(size))
            decided = [
                (draw < rates[truth.astype(int), g]).astype(int)
                for draw, rates in ((seen, self.real), (again, self.synthetic))
            ]
            np.add.at(counts[g], (truth.astype(int), *decided), 1)
        return counts

    def rates(self, name: str, model: str) -> Floats:
        """``(g,)`` the true rate of one model."""
        negative, positive = getattr(self, model)
        selected = POSITIVE * positive + (1 - POSITIVE) * negative
        return {
            "selection rate": selected,
            "true positive rate": positive,
            "false positive rate": negative,
            "precision": POSITIVE * positive / selected,
        }[name]


def tables_of(counts: NDArray[np.intp]) -> dict[str, RateTable]:
    """A table per rate."""
    stratum = stratum_of(len(counts))
    tables = {rate.name: share_table(stratum, counts, rate) for rate in (SELECTION, TRUE_POSITIVE, FALSE_POSITIVE)}
    return tables | {PRECISION.name: precision_table(stratum, counts)}


def stratum_of(groups: int) -> Stratum:
    """Groups by number, none of them hidden."""
    hidden, at = np.zeros(groups, dtype=bool), np.arange(groups)
    names = tuple(map(str, range(groups)))
    return Stratum(name="group", level=(), groups=names, hidden=hidden, at=at, crossed=False)


def gap_of(rates: Floats) -> float:
    """Fairlearn's difference."""
    return float(np.ptp(rates))


def level_intervals(world: World, tables: dict[str, RateTable]) -> Iterator[tuple[str, Estimate | None, float]]:
    """Intervals of gaps of the first model, with their truths."""
    selected = world.rates(SELECTION.name, "real")
    for name, table in tables.items():
        truth = world.rates(name, "real")
        yield f"difference of {name}", gap_difference([table], "real", 0.95, PAIRS), gap_of(truth)
        yield f"ratio of {name}", gap_ratio([table], "real", 0.95, PAIRS), float(truth.min() / truth.max())
    overall = float(np.average(selected, weights=world.sizes))
    apart = float(np.abs(selected - overall).max())
    table = tables[SELECTION.name]
    yield "difference to overall", gap_difference([table], "real", 0.95, OVERALL), apart
    folded = np.minimum(selected / overall, overall / selected)
    yield "ratio to overall", gap_ratio([table], "real", 0.95, OVERALL), float(folded.min())
    both = [tables[rate.name] for rate in (TRUE_POSITIVE, FALSE_POSITIVE)]
    gaps = [gap_of(world.rates(rate.name, "real")) for rate in (TRUE_POSITIVE, FALSE_POSITIVE)]
    yield "equalized odds, worst", gap_difference(both, "real", 0.95, PAIRS), max(gaps)
    yield "equalized odds, mean", gap_difference(both, "real", 0.95, MEAN), float(np.mean(gaps))


def change_intervals(table: RateTable, cells: Cells, truth: Floats) -> Iterator[tuple[str, Estimate, float]]:
    """Each cell at its own level, cells of the tiny group apart, and the worst of all."""
    filled, values, errors = table.has(cells), table.changes(cells), table.errors(cells)
    changes = [
        (Change(group=(), value=float(values[i]), sampling=float(errors[i])), float(truth[i]), bool(cells.decidable[i]))
        for i in np.flatnonzero(filled)
    ]
    for change, expected, decidable in changes:
        yield "" if decidable else " of a tiny group", change.estimate(0.95), expected
    if changes:
        worst = max(abs(expected) for _, expected, _ in changes)
        found = worst_change([change for change, _, _ in changes], "zero", 0.95)
        yield ", worst", found, math.copysign(worst, found.value)  # its size is what gates judge


def all_changes(world: World, tables: dict[str, RateTable]) -> Iterator[tuple[str, Estimate, float]]:
    """Changes of gaps between groups, and of a group from all rows."""
    for name, table in tables.items():
        moved = world.rates(name, "synthetic") - world.rates(name, "real")
        cells = large_only(world, pairs_of_groups(np.asarray(world.sizes), world.sizes > TINY))
        for what, estimate, truth in change_intervals(table, cells, moved[cells.first] - moved[cells.second]):
            yield f"change of {name}{what}", estimate, truth
    yield from minimax(world, tables[TRUE_POSITIVE.name])
    moved = world.rates(SELECTION.name, "synthetic") - world.rates(SELECTION.name, "real")
    cells = large_only(world, replace(groups_alone(np.asarray(world.sizes)), kind="overall"))
    away = (moved - np.average(moved, weights=world.sizes))[cells.first]
    for what, estimate, truth in change_intervals(tables[SELECTION.name], cells, away):
        yield f"change to overall{what}", estimate, truth


def large_only(world: World, cells: Cells) -> Cells:
    """Decidable are the cells without the tiny group."""
    large = world.sizes > TINY
    return replace(cells, decidable=large[cells.first] & large[cells.second])


def minimax(world: World, table: RateTable) -> Iterator[tuple[str, Estimate, float]]:
    """The move of the worst group's rate."""
    groups = np.flatnonzero(world.sizes > TINY)
    several = [Change(group=(), value=float(table.change[g]), sampling=float(table.error[g])) for g in groups]
    synthetic, real = (world.rates(TRUE_POSITIVE.name, model)[groups].min() for model in ("synthetic", "real"))
    yield "minimax of true positive rate", minimax_change(table, groups, several, 0.95), float(synthetic - real)


# -- calibration --------------------------------------------------------------------------------


def scored(world: World, gap: float, rng: np.random.Generator) -> RateTable:
    """Scores of two models, the first off by up to ``gap`` in the last group, the second by twice that."""
    steps, rows = np.linspace(0, gap, len(world.sizes)), []
    for size, off in zip(world.sizes, steps, strict=True):
        right = rng.beta(2, 4, size)
        truth = rng.random(size) < right
        real = truth - right + off
        synthetic = real + off + rng.normal(0, 0.03, size)
        rows.append(
            [size, real.sum(), (real**2).sum(), synthetic.sum(), (synthetic**2).sum(), ((real - synthetic) ** 2).sum()]
        )
    return residual_table(stratum_of(len(rows)), np.array(rows), level=0.95)


def calibrations(world: World, gap: float, rng: np.random.Generator) -> Iterator[tuple[str, Estimate | None, float]]:
    """Intervals of the gap of calibration and of its change."""
    table = scored(world, gap, rng)
    yield "difference of calibration", gap_difference([table], "real", 0.95, PAIRS), gap
    steps = np.linspace(0, gap, len(world.sizes))
    cells = large_only(world, pairs_of_groups(np.asarray(world.sizes), world.sizes > TINY))
    for what, estimate, truth in change_intervals(table, cells, steps[cells.first] - steps[cells.second]):
        yield f"change of calibration{what}", estimate, truth


# -- runs ---------------------------------------------------------------------------------------


def simulate(
    *, runs: int, groups: int, gap: float, rows: int = 200, tiny: bool = True, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Coverage and mean width of the nominal 95 % intervals, by quantity."""
    world = World.of(groups, gap, rows=rows, tiny=tiny)
    seen: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        tables = tables_of(world.drawn(rng))
        for several in (level_intervals(world, tables), all_changes(world, tables), calibrations(world, gap, rng)):
            for name, e, truth in several:
                if e is not None:
                    near = 1e-12
                    seen[name].append((e.low - near <= truth <= e.high + near, e.high - e.low))
    return {
        name: (float(np.mean([hit for hit, _ in found])), float(np.mean([min(width, 9.0) for _, width in found])))
        for name, found in seen.items()
    }


def main() -> None:
    """Print the coverages, a line per quantity and a column per setting."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    settings = [(groups, gap) for groups in (2, 5, 10) for gap in (0.0, 0.05, 0.1)]
    found = {setting: simulate(runs=runs, groups=setting[0], gap=setting[1]) for setting in settings}
    print(f"coverage of 95 % intervals in {runs} runs; 200 rows a group, one of them 5")
    print(f"{'quantity':<46}" + "".join(f"{f'G={g}, {gap}':>11}" for g, gap in settings))
    for name in dict.fromkeys(name for lines in found.values() for name in lines):
        cells = [f"{found[s][name][0]:>11.3f}" if name in found[s] else f"{'':>11}" for s in settings]
        print(f"{name:<46}{''.join(cells)}")


if __name__ == "__main__":
    main()
