"""What a model trained on the release does when the mix of the population changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from counterproof.metrics.engine.learners import Models, chosen_learners
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Evidence, Group, Panel
from counterproof.metrics.fairness._shifts.shifts import (
    BETTER,
    FIELDS,
    LEAST,
    SIGN,
    UNITS,
    Loss,
    Shift,
    ShiftedRows,
)
from counterproof.metrics.metric import Needs, Value, metric
from counterproof.metrics.shared.partitions import CROWD
from counterproof.metrics.shared.retraining import REFITS, Change, refit_spread, worst_change
from counterproof.metrics.statistics.cvar import Risk, Tail
from counterproof.metrics.workbench import Workbench

SHOWN = 20

Alphas = Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], Field(min_length=1)]


@metric(
    id="fairness.worst_shift",
    family="fairness",
    title="accuracy under a worst change of the population",
    better="higher",
    headline="change",
    unit="share",
    needs=Needs(label=True, groups=True, smallest_n=LEAST),
    reads=("features", "groups", "label"),
    null="halves",
    draws=REFITS,
)
def worst_shift(
    bench: Workbench,
    *,
    models: Models | None = None,
    alphas: Alphas = (0.75, 0.9),
    population: dict[str, dict[str, float]] | None = None,
) -> Iterator[Value]:
    """What models trained on the release lose where the mix of the population changes for the worst.

    Each model meets its own worst population: the groups it does worst on, as large as 1 − alpha of the real
    test rows. It is taken for every group column and crossing. Intervals hold the paired error of the test rows
    and the luck of training.

    Formula:
        accuracy under the worst shift = mean over the worst share 1 − α of the rows, groups taken whole
        change = that of the model of the release − that of the model of real rows

    How to read it:
        0 means that the release costs nothing even there; below 0 it does. ``loss_change`` above 0 is worse.

    Limits:
        Crossings of many small groups tell little. Only shifts between the groups that were named are looked
        at. It has no default gate.

    Args:
        bench: The samples.
        models: Learners to train; by default the two of the kind of data.
        alphas: Shares of the rows that a worst change spares, each from 0 up to but not 1.
        population: A mix to weigh the test rows to by raking: shares by column, such as ``{sex = {F = 0.5}}``.
            Values not named share the rest. The effective rows, (Σw)² / Σw², stand beside each number.

    Yields:
        change: Change of accuracy for each column, share and learner; the lowest without a group.
        real: Accuracy of the model of real rows.
        synthetic: Accuracy of the model of the release.
        loss_change: Change of the Brier score.

    Source:
        Subbaswamy, Adams and Saria (2021), arXiv:2010.15100.
    """
    _check(alphas)
    shifted = ShiftedRows(
        bench=bench, learners=chosen_learners(bench.corpus, models), alphas=tuple(alphas), population=population
    )
    problem = _problem(shifted)
    if problem:
        for group in ((), *((("learner", learner),) for learner in shifted.learners)):
            yield Value(field="change", group=group, status="not_assessable", reason=problem)
    elif bench.is_null:
        yield from _null_values(shifted)
    else:
        for part, groups in shifted.crowded.items():
            reason = f"too few rows: {part.name} has {groups} groups, more than the {CROWD} that are searched"
            place = tuple((column, None) for column in part.columns)
            yield Value(field="change", group=place, status="not_assessable", reason=reason, decidable=False)
        yield from _measured(shifted)


def _check(alphas: tuple[float, ...]) -> None:
    if not alphas:
        raise MetricError("option alphas is empty: give shares such as [0.75, 0.9]")
    for alpha in alphas:
        if not 0 <= alpha < 1:
            raise MetricError(f"option alphas: {alpha} is no share from 0 up to but not 1")


def _problem(shifted: ShiftedRows) -> str:
    """Why nothing can be measured."""
    bench = shifted.bench
    label = bench.corpus.label
    if len(shifted.rows) < 2:
        return f"fewer than two real test rows have a value of {label}"
    if shifted.sample.sources < 2:
        return "all real test rows come from one source, so how far they stand for others cannot be known"
    for learner in shifted.learners:
        forecast = bench.forecast(learner, bench.learning)
        if forecast.degenerate:
            return f"no model can be trained on the real rows: {forecast.reason}"
    return "" if shifted.shifts else f"the groups are the label, or more than {CROWD}"


def _group(shift: Shift, learner: str) -> Group:
    return (("cell", shift.name), ("learner", learner))


def _null_values(shifted: ShiftedRows) -> Iterator[Value]:
    names = {shift.name: shift for shift in shifted.shifts}
    changes = shifted.changes(shifted.bench)
    for loss, field in FIELDS.items():
        inside = {key: SIGN[loss] * value for key, value in changes.items() if key[2] == loss}
        for (name, learner, _), value in inside.items():
            yield Value(
                estimate=Estimate.point(value, method="one re-split"), field=field, group=_group(names[name], learner)
            )
        decidable = [value for (name, *_), value in inside.items() if names[name].enough]
        if decidable:
            yield Value(
                estimate=Estimate.point((min if BETTER[loss] == "higher" else max)(decidable), method="one re-split"),
                field=field,
            )


def _measured(shifted: ShiftedRows) -> Iterator[Value]:
    spread = refit_spread(shifted.bench, shifted.changes)
    kept: dict[tuple[str, str], Change] = {}
    for loss, field in FIELDS.items():
        changes: list[tuple[Shift, Change]] = []
        for shift in shifted.shifts:
            for learner in shifted.learners:
                real, synthetic = shifted.risks(shift, learner, loss)
                difference = synthetic.less(real)
                refits = spread[shift.name, learner, loss]
                change = Change(
                    group=_group(shift, learner),
                    value=SIGN[loss] * difference.value,
                    sampling=max(difference.error(shifted.clusters), shift.least_error),
                    refit=refits.spread,
                    draws=refits.draws,
                    decidable=shift.enough,
                    remark="" if shift.enough else f"too few rows: worth {shift.mix.effective:.0f} test rows",
                )
                changes.append((shift, change))
                yield _value(shifted, shift, field, change.group, change.estimate(shifted.bench.level), loss, change)
                if loss == "errors":
                    kept[shift.name, learner] = change
                    for side, risk in (("real", real), ("synthetic", synthetic)):
                        yield _value(shifted, shift, side, change.group, _accuracy(shifted, shift, risk), loss, change)
        yield _worst(shifted, field, loss, changes, kept)


def _accuracy(shifted: ShiftedRows, shift: Shift, risk: Risk) -> Estimate:
    """One minus the mean error, by the test rows alone."""
    error = max(risk.error(shifted.clusters), shift.least_error)
    e = Estimate.normal(1 - risk.value, error, level=shifted.bench.level, method="test rows")
    value, low, high = (min(max(x, 0.0), 1.0) for x in (e.value, e.low, e.high))
    return Estimate(value=value, low=low, high=high, level=e.level, method=e.method)


def _value(
    shifted: ShiftedRows, shift: Shift, field: str, group: Group, estimate: Estimate, loss: Loss, change: Change
) -> Value:
    return Value(
        estimate=estimate,
        field=field,
        group=group,
        n=shifted.sizes | {"effective": int(shift.mix.effective)},
        better=BETTER[loss],
        unit=UNITS[loss],
        decidable=change.decidable,
        reason=change.remark,
    )


def _worst(
    shifted: ShiftedRows,
    field: str,
    loss: Loss,
    changes: list[tuple[Shift, Change]],
    kept: Mapping[tuple[str, str], Change],
) -> Value:
    decidable = [change for _, change in changes if change.decidable]
    sizes = shifted.sizes
    if not decidable:
        reason = f"too few rows: no change of the population leaves the worth of {LEAST} test rows"
        return Value(field=field, n=sizes, status="not_assessable", reason=reason, better=BETTER[loss])
    pick = min if BETTER[loss] == "higher" else max
    worst = pick(decidable, key=lambda change: change.value)
    shift = next(shift for shift, change in changes if change is worst)
    headline = loss == "errors"
    return Value(
        estimate=worst_change(decidable, BETTER[loss], shifted.bench.level),
        field=field,
        n=sizes,
        better=BETTER[loss],
        unit=UNITS[loss],
        reason=", ".join(str(value) for _, value in worst.group),
        evidence=tuple(_groups(shifted, shift, str(worst.group[1][1]))) if headline else (),
        panels=(_forest(shifted, kept),) if headline else (),
    )


def _groups(shifted: ShiftedRows, shift: Shift, learner: str) -> Iterator[Evidence]:
    """Who makes up the worst population of each model."""
    part, tail, bench = shift.part, shift.mix, shifted.bench
    if part is None or not isinstance(tail, Tail):
        return
    errors = [shifted.losses(bench, learner, rows, "errors") for rows in (bench.learning, bench.synthetic_train)]
    counts = np.bincount(tail.codes, minlength=len(part))
    weights = [tail.weights(losses) for losses in errors]
    disclosable = (counts >= max(bench.small_cell, 1)) & ~part.hidden(bench)
    rows: list[tuple[Any, ...]] = []
    for g in np.flatnonzero(disclosable & ((weights[0] > 0) | (weights[1] > 0))):
        name = ", ".join(f"{column} = {value}" for column, value in part.groups[g])
        real, synthetic = (1 - float(losses[tail.codes == g].mean()) for losses in errors)
        rows.append((name, int(counts[g]), real, synthetic, *(float(weight[g]) for weight in weights)))
    rows.sort(key=lambda row: row[3])
    yield Evidence(
        title=f"Who the {shift.name} are, for the {learner} model",
        columns=(
            "group",
            "test rows",
            "accuracy trained on real",
            "on the release",
            "part in the worst of the real model",
            "of the release's model",
        ),
        rows=tuple(rows[:SHOWN]),
        note=f"1: the whole group is among the worst rows. Groups of fewer than {bench.small_cell} rows are not shown.",
    )


def _forest(shifted: ShiftedRows, kept: Mapping[tuple[str, str], Change]) -> Panel:
    entries = []
    for shift in shifted.shifts:
        for learner in shifted.learners:
            real, synthetic = (_accuracy(shifted, shift, risk) for risk in shifted.risks(shift, learner, "errors"))
            change = kept[shift.name, learner].estimate(shifted.bench.level)
            if kept[shift.name, learner].decidable:
                ends = {"real": _ends(real), "synthetic": _ends(synthetic), "change": _ends(change)}
                entries.append((change.value, {"label": f"{shift.name} · {learner}", **ends}))
    entries.sort(key=lambda entry: entry[0])
    return Panel(
        kind="forest",
        title="Accuracy under the worst changes of the population, of models trained on real rows and on the release",
        data={"limit": None, "unit": "share", "entries": [entry for _, entry in entries[:SHOWN]]},
        note="Each model meets the groups that it does worst on; the change is synthetic minus real.",
    )


def _ends(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
