"""Where does the release teach worse? The worst slices of the data that nobody named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from counterproof.metrics.engine.learners import Models, chosen_learners
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Evidence, Group, Panel
from counterproof.metrics.fairness._slices.search import Search, Slice, SliceField, search
from counterproof.metrics.metric import Needs, Value, metric
from counterproof.metrics.statistics.proportions import wilson
from counterproof.metrics.workbench import Workbench

LEAST = 30  # rows a half below which a share says too little
TITLES: Mapping[SliceField, str] = {
    "change": "Slices where the release's model errs more often than the real one, beyond what it does elsewhere",
    "error": "Slices where the release's model errs most often, beyond what it does elsewhere",
}


@metric(
    id="fairness.slices",
    family="fairness",
    title="worst slices",
    headline="change",
    unit="share of rows in error, inside less outside",
    needs=Needs(label=True),
    reads=("columns", "label"),
    null="none",
)
def slices(
    bench: Workbench,
    *,
    models: Models | None = None,
    smallest: Annotated[int, Field(ge=LEAST)] = LEAST,
    q: Annotated[float, Field(gt=0, lt=1)] = 0.05,
) -> Iterator[Value]:
    """Where models trained on the release err more than models of real rows, among slices that nobody named.

    Slices are the bins of every column but the label (fifths of numbers, the twelve commonest categories) and
    of pairs of the 18 columns that differ most; for images and arrays, the group columns. Ten slices, no two
    with nearly the same rows, are chosen on a random half of the real test rows; only the other half measures
    them. As both halves try the same two models, the interval of ``change`` also holds the largest luck that
    training shows in any slice: fresh real rows are not blamed.

    Formula:
        d(row) = [model of the release errs] − [model of real rows errs]
        change = mean d inside the slice − mean d outside

    How to read it:
        Above 0 the model of the release errs more often there. A slice is confirmed at the false discovery rate
        ``q`` (Benjamini and Hochberg). The headline is the slice that looked worst.

    Limits:
        At 1,000 rows it finds only the coarsest flaws (3 of 40 planted; 38 of 40 at 3,000). It has no default
        gate.

    Args:
        bench: The samples.
        models: Learners to train; by default the two of the kind of data.
        smallest: Test rows that a slice needs in each half, 30 or more; never fewer than ``small_cell``.
        q: False discovery rate.

    Yields:
        change: Change of the error, inside less outside, for each slice.
        error: The same of the release's model alone; hard slices are hard for the real one too.

    Source:
        After Chung et al. (2019), Slice Finder, arXiv:1807.06068; Benjamini and Hochberg (1995),
        doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    if smallest < LEAST:
        raise MetricError(f"option smallest: a slice of {smallest} rows says too little; give {LEAST} or more")
    if not 0 < q < 1:
        raise MetricError(f"option q: a false discovery rate of {q} is none; give a number between 0 and 1")
    learners = chosen_learners(bench.corpus, models)
    problem = _problem(bench, learners)
    result = None if problem else search(bench, learners, max(smallest, bench.small_cell))
    if result is None:
        few = f"too few rows: no slice has {max(smallest, bench.small_cell)} real test rows in each half"
        yield Value(field="change", status="not_assessable", reason=problem or few, n=_sizes(bench))
        return
    for field in TITLES:
        yield from _values(bench, result, field, result.shortlist(field, q), q)


def _problem(bench: Workbench, learners: tuple[str, ...]) -> str:
    labelled = bench.test.take(np.flatnonzero(bench.test.labels != ""), "labelled")
    if labelled.sources < 4:
        return f"the real test rows with a value of {bench.corpus.label} have fewer than two sources for each half"
    for learner in learners:
        for trained_on, whose in ((bench.learning, "the real rows"), (bench.synthetic_train, "the release")):
            forecast = bench.forecast(learner, trained_on)
            if forecast.degenerate:
                return f"no model can be trained on {whose}: {forecast.reason}"
    return ""


def _sizes(bench: Workbench) -> dict[str, int]:
    roles = {"learning": bench.learning, "studying": bench.synthetic_train, "trial": bench.test}
    return {role: int((sample.labels != "").sum()) for role, sample in roles.items()}


def _group(result: Search, one: Slice) -> Group:
    return (("cell", result.grid.name(one.at)), ("learner", one.learner))


def _values(bench: Workbench, result: Search, field: SliceField, chosen: list[Slice], q: float) -> Iterator[Value]:
    for one in chosen:
        yield Value(
            field=field,
            group=_group(result, one),
            estimate=one.estimate(bench.level),
            n=_sizes(bench) | {"slice": int(result.counts[one.learner][one.at, 1].sum())},
            reason="" if one.confirmed else "not confirmed on the other half",
        )
    confirmed = sum(one.confirmed for one in chosen)
    where = ", ".join(str(value) for _, value in _group(result, chosen[0]))
    yield Value(
        field=field,
        estimate=chosen[0].estimate(bench.level),
        n=_sizes(bench) | {"slice": int(result.counts[chosen[0].learner][chosen[0].at, 1].sum())},
        reason=f"{where}; {confirmed} of {len(chosen)} slices confirmed, of {int(result.candidates.sum())} looked at",
        evidence=(_table(result, field, chosen, q),),
        panels=(_forest(bench, result, chosen),) if field == "change" else (),
    )


def _table(result: Search, field: SliceField, chosen: list[Slice], q: float) -> Evidence:
    rows: list[tuple[Any, ...]] = []
    for one in chosen:
        inside = result.counts[one.learner][one.at].sum(0)
        outside = np.bincount(result.states[one.learner], minlength=4) - inside
        shares = [
            float(part[side].sum() / max(part.sum(), 1)) for part in (inside, outside) for side in ([1, 3], [2, 3])
        ]
        rows.append((result.grid.name(one.at), one.learner, int(inside.sum()), *shares, one.value, one.p))
    return Evidence(
        title=TITLES[field],
        columns=(
            "slice",
            "model",
            "test rows",
            "errors in it, real",
            "release",
            "elsewhere, real",
            "release ",
            "excess",
            "p",
        ),
        rows=tuple(rows),
        note="Chosen on one half of the test rows; excess and p, adjusted for all of these, come from the other. "
        f"Confirmed are those with p of {q:g} or less.",
    )


def _forest(bench: Workbench, result: Search, chosen: list[Slice]) -> Panel:
    entries = []
    for one in chosen:
        inside = result.counts[one.learner][one.at].sum(0)
        real, synthetic = (wilson(int(inside[side].sum()), int(inside.sum()), bench.level) for side in ([1, 3], [2, 3]))
        ends = {"real": _ends(real), "synthetic": _ends(synthetic), "change": _ends(one.estimate(bench.level))}
        entries.append({"label": f"{result.grid.name(one.at)} · {one.learner}", **ends})
    return Panel(
        kind="forest",
        title="Errors in the slices where the release's model does worst against the real one",
        data={"limit": None, "unit": "share", "entries": entries},
        note="The change is inside less outside, on the rows that did not choose the slice, with the largest luck.",
    )


def _ends(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
