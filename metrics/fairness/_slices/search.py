"""The search for the worst slices: chosen on one half of the rows, confirmed on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, norm

from counterproof.metrics.estimate import Estimate, normal_quantile
from counterproof.metrics.fairness._slices.grid import Grid, grid_of
from counterproof.metrics.sample import Floats, Sample
from counterproof.metrics.shared.retraining import REFITS
from counterproof.metrics.statistics.variance import parts_error
from counterproof.metrics.workbench import Workbench

SliceField = Literal["change", "error"]
Counts = NDArray[np.intp]
CROSSED = 18  # columns that are crossed: 153 pairs
SHORTLIST = 10  # slices that the other half is asked about
ALIKE = 0.7  # of the rows of both
LOOKED_AT = 200  # of the worst, for ten that differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A slice that looked worst on one half, as the other half sees it.

    Attributes:
        at: Its place in the grid.
        learner: The model.
        value: Errors inside less errors outside; for a change, of the release's model less the real one.
        sampling: Standard error by the rows of the half.
        luck: How far training luck goes in the worst of all slices, in units of this one.
        p: Adjusted for the slices that were asked about.
        confirmed: Whether it stands at the false discovery rate.
    """

    at: int
    learner: str
    value: float
    sampling: float
    luck: float
    p: float = 1.0
    confirmed: bool = False

    def estimate(self, level: float) -> Estimate:
        """Luck is added whole: the slice was chosen among all, and both halves try the same models."""
        reach = normal_quantile(0.5 + level / 2) * self.sampling + self.luck
        method = "other half of the test rows" + (", largest luck of training" if self.luck else "")
        return Estimate(value=self.value, low=self.value - reach, high=self.value + reach, level=level, method=method)


@dataclass(frozen=True, eq=False, kw_only=True)
class Search:
    """The rows, the slices, and what the models get wrong.

    Attributes:
        sample: The labelled test rows.
        other: ``(n,)`` 1 where a row confirms, 0 where it is searched.
        grid: The slices.
        candidates: ``(slices,)`` those of enough rows in both halves, and of no more than half of all.
        states: ``(n,)`` who errs on a row, by learner: 1 the real model, 2 the release's, 3 both.
        counts: ``(slices, 2, 4)`` rows by half and state, by learner.
        luck: ``(slices,)`` how far training luck goes in the worst of all slices, by learner.
    """

    sample: Sample
    other: Counts
    grid: Grid
    candidates: NDArray[np.bool_]
    states: Mapping[str, Counts]
    counts: Mapping[str, Counts]
    luck: Mapping[str, Floats]

    def shortlist(self, field: SliceField, q: float) -> list[Slice]:
        """The slices that are surely worst on the searched half, worst first, as the other half sees them.

        What is surely there is the gap less two standard errors and less the luck of training: a large gap of few
        rows need not come first. A pair says more than its two columns alone only where more of it is sure.
        """
        ranked: list[tuple[float, str, int]] = []
        pair = self.grid.parents[:, 0] != self.grid.parents[:, 1]
        for learner, states in self.states.items():
            totals = np.bincount(states[self.other == 0], minlength=4)
            gap, error = gaps(self.counts[learner][:, 0], totals, field)
            sure = np.where(self.candidates, gap - 2 * error - self._luck(learner, field), -np.inf)
            sure[pair & (sure <= sure[self.grid.parents].max(1))] = -np.inf
            ranked += [(float(-sure[at]), learner, int(at)) for at in np.flatnonzero(sure > -np.inf)]
        return judged([self._seen(field, learner, at) for learner, at in self._different(sorted(ranked))], q)

    def _different(self, ranked: Sequence[tuple[float, str, int]]) -> list[tuple[str, int]]:
        """The first that are not nearly the same rows as one before, by any model: many names for one thing say one."""
        chosen: list[tuple[str, int]] = []
        taken: list[NDArray[np.bool_]] = []
        for _, learner, at in ranked[:LOOKED_AT]:
            inside = self.grid.inside(at)
            if all((inside & one).sum() <= ALIKE * (inside | one).sum() for one in taken):
                chosen.append((learner, at))
                taken.append(inside)
            if len(chosen) == SHORTLIST:
                break
        return chosen

    def _luck(self, learner: str, field: SliceField) -> Floats:
        return self.luck[learner] if field == "change" else np.zeros(len(self.candidates))

    def _seen(self, field: SliceField, learner: str, at: int) -> Slice:
        confirming = self.other == 1
        counts = self.counts[learner][at, 1][None]
        states = self.states[learner][confirming]
        gap, error = gaps(counts, np.bincount(states, minlength=4), field)
        sampling = float(error[0])
        clusters = self.sample.corpus.clusters
        if clusters is not None:
            inside = self.grid.inside(at)[confirming]
            sampling = max(sampling, parts_error(_parts(states, inside, field), clusters[self.sample.rows][confirming]))
        luck = float(self._luck(learner, field)[at])
        return Slice(at=at, learner=learner, value=float(gap[0]), sampling=sampling, luck=luck)


def search(bench: Workbench, learners: Sequence[str], least: int) -> Search | None:
    """Look for slices; None where no slice has enough rows.

    Args:
        bench: The measurement's view.
        learners: The models.
        least: Rows that a slice needs in each half.
    """
    rows = np.flatnonzero(bench.test.labels != "")
    sample = bench.test.take(rows, f"labelled {bench.test.name}")
    other = np.ones(len(rows), dtype=np.intp)
    other[sample.half(bench.generator("slices"))] = 0
    grid = grid_of(sample, 2 * least)
    if not grid.columns:
        return None
    states = {learner: errors_of(bench, learner, sample, rows) for learner in learners}
    if len(grid.columns) > 1:
        grid = grid.crossed(_worst_columns(grid, states, other, least))
    counts = {name: grid.counts(other * 4 + state, 8).reshape(-1, 2, 4) for name, state in states.items()}
    sizes = next(iter(counts.values())).sum(-1)
    candidates = (sizes >= least).all(1) & (sizes.sum(1) <= len(rows) / 2)
    if not candidates.any():
        return None
    luck = {learner: _luck(bench, learner, sample, rows, grid, candidates) for learner in learners}
    return Search(sample=sample, other=other, grid=grid, candidates=candidates, states=states, counts=counts, luck=luck)


def errors_of(bench: Workbench, learner: str, sample: Sample, rows: Counts) -> Counts:
    """``(n,)`` who errs on a row: 1 the real model of a view, 2 that of its candidate, 3 both, 0 none."""
    real, synthetic = (
        bench.forecast(learner, trained_on).predicted[rows] != sample.labels
        for trained_on in (bench.learning, bench.synthetic_train)
    )
    who: Counts = real.astype(np.intp) + 2 * synthetic.astype(np.intp)
    return who


def gaps(counts: Counts, totals: Counts, field: SliceField) -> tuple[Floats, Floats]:
    """Mean inside less mean outside and its standard error, of many slices at once.

    A row more is counted on either side, as in :func:`counterproof.metrics.statistics.proportions.paired_error`.

    Args:
        counts: ``(slices, 4)`` rows of each slice by state.
        totals: ``(4,)`` all rows by state.
        field: The change between the models, or the errors of the release's.
    """
    gap, variance = np.zeros(len(counts)), np.zeros(len(counts))
    for sign, part in ((1.0, counts), (-1.0, totals - counts)):
        n = part.sum(-1).astype(np.float64)
        up, down = _sides(part, field)
        gap += sign * (up - down) / np.maximum(n, 1)
        more, less = (up + 1) / (n + 2), (down + 1) / (n + 2)
        spread = more + less - (more - less) ** 2 if field == "change" else more * (1 - more)
        variance += spread / (n + 2)
    return gap, np.sqrt(variance)


def judged(slices: Sequence[Slice], q: float) -> list[Slice]:
    """Which of the slices stand at a false discovery rate, after the luck of training is taken off.

    Source: Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    p = norm.sf([(one.value - one.luck) / one.sampling for one in slices])
    adjusted = false_discovery_control(p, method="bh")
    return [
        replace(one, p=float(value), confirmed=bool(value <= q)) for one, value in zip(slices, adjusted, strict=True)
    ]


def _sides(counts: Counts, field: SliceField) -> tuple[Floats, Floats]:
    """Rows that count for and against: errors of the release's model alone, and of the real one alone."""
    if field == "error":
        return (counts[..., 2] + counts[..., 3]).astype(np.float64), np.zeros(counts.shape[:-1])
    return counts[..., 2].astype(np.float64), counts[..., 1].astype(np.float64)


def _parts(states: Counts, inside: NDArray[np.bool_], field: SliceField) -> Floats:
    """``(n,)`` what each row adds to the sampling error of a gap."""
    weights = np.array([0.0, -1.0, 1.0, 0.0] if field == "change" else [0.0, 0.0, 1.0, 1.0])
    loss = weights[states]
    parts = np.empty(len(loss))
    for sign, side in ((1.0, inside), (-1.0, ~inside)):
        parts[side] = sign * (loss[side] - loss[side].mean()) / side.sum()
    return parts


def _worst_columns(grid: Grid, states: Mapping[str, Counts], other: Counts, least: int) -> list[int]:
    """The columns whose own bins differ most on the searched half: they are worth crossing first."""
    best = np.zeros(len(grid.columns))
    for state in states.values():
        searched = np.where(other == 0, state, 4)
        counts = grid.counts(searched, 5)[:, :4]
        for field in ("change", "error"):
            gap, error = gaps(counts, np.bincount(searched, minlength=5)[:4], field)
            score = np.abs(gap / error)
            score[counts.sum(1) < least] = 0
            best = np.maximum(best, np.maximum.reduceat(score, grid.starts[:-1]))
    return [int(at) for at in np.argsort(-best, kind="stable")[:CROSSED]]


def _luck(
    bench: Workbench, learner: str, sample: Sample, rows: Counts, grid: Grid, candidates: NDArray[np.bool_]
) -> Floats:
    """``(slices,)`` how far training luck moves the change in the worst of all slices, in units of each.

    Models of random halves of the real rows differ by luck alone, as do models of halves of the release; see
    :func:`counterproof.metrics.shared.retraining.refit_spread`. A sum and a difference of one of each, halved,
    move as the models of the measurement do. What their largest move over all slices is, in standard deviations of the
    slice, is taken as its mean and two standard deviations over the draws.
    """
    drawn = []
    for draw in range(REFITS):
        pair = []
        for view in (bench.halves(draw), bench.release_halves(draw)):
            states = errors_of(view, learner, sample, rows)
            gap, _ = gaps(grid.counts(states, 4), np.bincount(states, minlength=4), "change")
            pair.append(gap)
        drawn += [(pair[0] + pair[1]) / 2, (pair[0] - pair[1]) / 2]
    moves = np.stack(drawn)
    spread = np.sqrt(np.mean(moves**2, axis=0))
    scaled = np.divide(np.abs(moves), spread, out=np.zeros_like(moves), where=spread > 0)
    largest = scaled[:, candidates].max(1)
    reach: Floats = spread * float(largest.mean() + 2 * largest.std(ddof=1))
    return reach
