"""The engine: one metric in, measurements out, with floor, anchor and excess."""

from __future__ import annotations

import math
import time
import traceback
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from counterproof.measuring.controls import try_controls
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Better, Estimate, Expected, Floor, Group, Measurement, Status, normal_quantile
from counterproof.metrics.metric import Metric, Value
from counterproof.metrics.workbench import Workbench

Place = tuple[str, Group]
OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "malloc of size", "realloc of size", "failed to map")
CROWDED = "the device ran out of memory: measured on the CPU"
UNSURE = "the rows are too few, or too alike, to tell how sure the value is"  # an interval without ends
BROKEN = "the metric yielded a number that is not finite"
HALVED = math.sqrt(0.5)  # two models of half the rows differ by sqrt(2) times two models of all rows


def measure(metric: Metric, bench: Workbench, params: Mapping[str, Any]) -> list[Measurement]:
    """Measure one metric; a crash becomes a measurement of status ``error`` and stops nothing."""
    started = time.perf_counter()
    unmet = what_is_missing(metric, bench)
    if unmet is not None:
        made = [blank(metric, *unmet)]
    else:
        try:
            made = _with_cpu_fallback(metric, bench, params)
        except Exception as error:
            made = [blank(metric, "error", crash(error))]
    seconds = time.perf_counter() - started
    return [
        replace(
            m,
            seconds=seconds,
            algo=metric.algo,
            params=dict(params),
            protocol=bench.corpus.protocol,
            smallest_n=metric.needs.smallest_n,
        )
        for m in made
    ]


def what_is_missing(metric: Metric, bench: Workbench) -> tuple[Status, str] | None:
    """Why this metric cannot say anything about these data, if it cannot."""
    corpus, needs = bench.corpus, metric.needs
    if corpus.modality not in needs.modalities:
        return "not_applicable", f"it is defined on {' and '.join(sorted(needs.modalities))} data only"
    if needs.label and corpus.labels is None:
        return "not_applicable", corpus.no_labels or "no label was given"
    if needs.groups and not corpus.groups:
        return "not_applicable", "no groups were given"
    if needs.holdout and (bench.holdout is None or bench.train is None):
        role = "holdout" if bench.holdout is None else "train"
        return "not_assessable", f"without {role} rows, leakage cannot be told from likeness"
    return None


def blank(metric: Metric, status: Status, reason: str) -> Measurement:
    """A measurement that says why there is none."""
    return Measurement(
        metric=metric.id,
        field=metric.headline,
        headline=True,
        better=metric.better,
        unit=metric.unit,
        status=status,
        reason=reason,
    )


def crash(error: Exception) -> str:
    """What went wrong and where, without the values that an exception may quote."""
    if lacked := lacked_memory(error):
        return lacked
    last = traceback.extract_tb(error.__traceback__)[-1]
    told = f": {error}" if isinstance(error, MetricError) else ""
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}, {last.name}{told}"


def lacked_memory(error: BaseException) -> str:
    """That there was too little memory, and how much was asked for, where that is what an error says.

    >>> lacked_memory(MemoryError("Unable to allocate 3.00 GiB for an array")), lacked_memory(ValueError("x"))
    ('there is not enough memory: Unable to allocate 3.00 GiB for an array', '')
    """
    text = (str(error).strip().splitlines() or [""])[0]
    if not isinstance(error, MemoryError) and not any(sign in text for sign in OUT_OF_MEMORY):
        return ""
    return f"there is not enough memory: {text[-120:] or 'an allocation failed'}"


def _with_cpu_fallback(metric: Metric, bench: Workbench, params: Mapping[str, Any]) -> list[Measurement]:
    """What the metric gives; on the CPU, and said so, where its device has not the memory."""
    try:
        return list(_measured(metric, bench, params))
    except RuntimeError as error:
        if bench.device == "cpu" or "out of memory" not in str(error):
            raise
    made = _measured(metric, replace(bench, device="cpu"), params)
    return [replace(m, reason=f"{m.reason}; {CROWDED}".lstrip("; ")) if m.estimate else m for m in made]


def _measured(metric: Metric, bench: Workbench, params: Mapping[str, Any]) -> Iterator[Measurement]:
    values = list(metric.values(bench, params))
    if not values:
        raise MetricError(f"{metric.id} yielded nothing")
    floors = null_floors(metric, bench, params)
    anchors = _points(metric.values(bench.permuted(), params)) if metric.anchored else {}
    controls = try_controls(metric, bench, params, values)
    judged_by_cell = {t.field for t in metric.tolerances if t.cells}
    for value in values:
        place = (value.field, value.group)
        measured = _measurement(metric, bench, value, floors.get(place), anchors.get(place))
        measured = replace(measured, controls=controls.get(value.field, ()))
        # Re-dealt membership keeps the release, whose matches as such tell nothing of who was trained on.
        if measured.expected is None and measured.floor is not None:
            measured = replace(measured, expected=expected_of(measured.floor, metric.null, bench))
        yield measured
        # Fields that a metric measures on no re-split have no floor to exceed; the headline must have one.
        if metric.null == "resplit" and measured.estimate is not None and (measured.headline or measured.floor):
            made = excess(measured, anchored=metric.anchored, columns=_columns(bench))
            if not made.group or made.field in judged_by_cell:
                yield made


def _measurement(
    metric: Metric, bench: Workbench, value: Value, floor: Floor | None, anchor: float | None
) -> Measurement:
    status, reason = value.status, value.reason
    if value.estimate is None and status == "measured":
        status, reason = "error", "the metric yielded no estimate and no reason"
    elif value.estimate is not None and not _finite(value.estimate):
        e = value.estimate
        unsure = math.isfinite(e.value) and (e.low, e.high) == (-math.inf, math.inf)
        said: tuple[Status, str] = ("not_assessable", UNSURE) if unsure else ("error", BROKEN)
        told = replace(blank(metric, *said), field=value.field, group=value.group)
        return replace(told, headline=value.field == metric.headline, alarm=value.alarm, decidable=value.decidable)
    return Measurement(
        metric=metric.id,
        field=value.field,
        group=value.group,
        estimate=value.estimate,
        floor=floor,
        anchor=anchor,
        n=dict(value.n) or bench.sizes,
        better=value.better or metric.better,
        unit=metric.unit if value.unit is None else value.unit,
        status=status,
        reason=reason,
        alarm=value.alarm,
        decidable=value.decidable,
        expected=value.expected,
        headline=value.field == metric.headline,
        evidence=value.evidence,
        panels=value.panels,
        least=metric.least,
        left_out=value.left_out,
    )


def null_floors(metric: Metric, bench: Workbench, params: Mapping[str, Any]) -> dict[Place, Floor]:
    """What real data reach against real data at the same sizes, by field and group."""
    if metric.null == "none" or (metric.null == "membership" and (bench.train is None or bench.holdout is None)):
        return {}
    view = {"resplit": bench.resplit, "membership": bench.membership, "halves": bench.halves}[metric.null]
    drawn: dict[Place, list[tuple[Estimate, Better]]] = defaultdict(list)
    for draw in range(metric.draws):
        for value in metric.values(view(draw), params):
            if value.estimate is not None and _finite(value.estimate):
                drawn[value.field, value.group].append((value.estimate, value.better or metric.better))
    return {place: _floor(found, metric.null, bench.level) for place, found in drawn.items() if len(found) > 1}


def _points(values: Iterable[Value]) -> dict[Place, float]:
    return {(v.field, v.group): v.estimate.value for v in values if v.estimate is not None and _finite(v.estimate)}


def _floor(found: Sequence[tuple[Estimate, Better]], null: str, level: float) -> Floor:
    # Halves are exchangeable: the mean of a difference between their models is nought by symmetry, not fitted.
    known = null == "halves"
    shrink = HALVED if known else 1.0
    values = np.array([e.value for e, _ in found])
    mean = 0.0 if known else float(values.mean())
    freedom = len(values) if known else len(values) - 1
    spread = math.sqrt(float(((values - mean) ** 2).sum()) / freedom) * shrink
    reach = _quantile(0.5 + level / 2, freedom) * spread
    sides = [side for one in found if (side := _worse_side(*one)) > 0]
    error = float(np.mean(sides)) * shrink / normal_quantile(0.5 + level / 2) if sides else 0.0
    return Floor(value=mean, low=mean - reach, high=mean + reach, spread=spread, draws=len(values), error=error)


def _worse_side(e: Estimate, better: Better) -> float:
    """How far the interval reaches to where a gate looks."""
    sides = {"lower": (e.high - e.value,), "higher": (e.value - e.low,)}
    return max(sides.get(better, (e.high - e.value, e.value - e.low)))


def _quantile(confidence: float, freedom: int) -> float:
    """Student's quantile: a spread that few draws tell is itself uncertain."""
    return float(student.ppf(confidence, freedom))


def _freedom(floor: Floor, null: str) -> int:
    return floor.draws if null == "halves" else floor.draws - 1


def expected_of(floor: Floor, null: str, bench: Workbench) -> Expected:
    """What a faithful release of as many rows as the reference has would show, told by the floor.

    The floor is drawn at the size of the release; a smaller release scatters more by its own doing,
    which must not count as something that the real rows cannot tell.

    Re-splits share their rows: what is counted in the candidate alone scatters less over them than over fresh rows,
    by the root of the rows that a re-split leaves. So where the metric's own interval on re-splits says that
    it scatters more, it is believed, as far as sharing explains it.
    """
    shrink, shared = 1.0, 1.0
    if null == "resplit":
        reference, candidate = len(bench.reference), len(bench.candidate)
        shrink = math.sqrt(min(1.0, (2 / reference) / (1 / reference + 1 / candidate)))
        shared = math.sqrt(1 / (1 - min(0.5, candidate / max(len(bench.real), 1))))
    confidence = 0.5 + bench.level / 2
    wider = _quantile(confidence, _freedom(floor, null)) / normal_quantile(confidence)
    spread = max(floor.spread, min(floor.error, shared * floor.spread))
    error = max(floor.spread * wider, floor.error)
    return Expected(value=floor.value, spread=spread * shrink, error=error * shrink)


def _columns(bench: Workbench) -> int:
    """How many columns the anchor permutes."""
    blocks = bench.corpus.blocks
    return bench.reference.features.shape[1] if blocks is None else len(blocks)


def excess(measured: Measurement, *, anchored: bool, columns: int = 2) -> Measurement:
    """By how much a value is worse than its floor: absolute, or on the scale of the anchor.

    The error is the larger of the interval's own and the spread of the floor. Where the anchor is
    no scale, because there is but one column or the real columns are independent, a release that
    is as near as real rows are has nothing to answer for.
    """
    e, floor = measured.estimate, measured.floor
    assert e is not None
    name = "excess" if measured.headline else f"{measured.field}_excess"
    made = replace(measured, field=name, headline=False, floor=None, better="lower", evidence=(), panels=(), least=None)
    if measured.alarm:
        made = replace(made, alarm="")
    if floor is None:
        reason = "the real rows could not be split often enough to see what real data reach against real data"
        return replace(made, estimate=None, status="not_assessable", reason=reason)
    scale, method = 1.0, "value against floor"
    if anchored:
        scale = (measured.anchor or 0.0) - floor.value
        method = "value against floor, on the scale of the anchor"
        made = replace(made, unit="of the anchor")
        if columns < 2 or scale <= 3 * floor.spread:
            return _without_scale(made, floor, columns)
    reach = _quantile(0.5 + e.level / 2, floor.draws - 1) * floor.spread
    below, above = max(e.value - e.low, reach), max(e.high - e.value, reach)
    loss = e.value - floor.value
    if measured.better == "higher":
        loss, below, above = -loss, above, below
    faithful = measured.expected
    if faithful is not None:
        faithful = Expected(value=0.0, spread=faithful.spread / scale, error=faithful.error / scale)
    return replace(
        made,
        expected=faithful,
        estimate=Estimate(
            value=loss / scale, low=(loss - below) / scale, high=(loss + above) / scale, level=e.level, method=method
        ),
    )


def _without_scale(made: Measurement, floor: Floor, columns: int) -> Measurement:
    near = made.estimate is not None and made.estimate.value - floor.value <= 3 * floor.spread
    status: Status = "not_applicable"
    if columns < 2:
        reason = "one column has no joint structure; see column distributions"
    elif near and made.anchor is not None:
        reason = "shuffled columns can hardly be told from real rows here, and the release is as near as real rows"
    else:
        status = "not_assessable"
        reason = "real columns permuted independently cannot be told from real rows, so there is no scale"
    return replace(made, estimate=None, status=status, reason=reason)


def _finite(e: Estimate) -> bool:
    return math.isfinite(e.value) and math.isfinite(e.low) and math.isfinite(e.high)
