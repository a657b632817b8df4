"""The metric frame of a record as a pandas table: counts and rates by group, of both models of a learner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from counterproof.refusal import Refusal

if TYPE_CHECKING:
    import pandas as pd

    from counterproof.reports.model import EvidenceReading
    from counterproof.reports.record import Record


TITLE = "Metric frame"
COUNTS = {"trial rows": "n", "positives": "positives", "negatives": "negatives"}
MODELS = {"real": "real", "release": "synthetic"}


def metric_frame(record: Record, *, learner: str | None = None, intervals: bool = False) -> pd.DataFrame:
    """Counts and rates of the models trained on real rows and on the release, for every group.

    The rows are the groups of every group column, and of every crossing that was audited
    (``intersections``); groups too small to say anything of are there, without numbers.

    Args:
        record: A record of an audit with label and groups, that measured ``fairness.worst_group_accuracy``.
        learner: ``linear``, ``boosting``, …; without it the learners stand below each other.
        intervals: Wilson intervals of the rates beside them, at the record's confidence; each group
            for itself, and each row as one of its own, whatever its source.

    Returns:
        Index ``column`` and ``group`` (and ``learner``, where none was chosen); columns
        ``("rows", "n" | "positives" | "negatives")`` and ``("real" | "synthetic", rate)``.

    Raises:
        Refusal: The record holds no metric frame, or none of this learner.
    """
    import pandas as pd

    evidence, level = _found(record)
    plain = pd.DataFrame([list(row) for row in evidence.rows], columns=list(evidence.columns))
    learners = list(dict.fromkeys(plain["model"]))
    if learner is not None and learner not in learners:
        raise Refusal(f"no models of {learner!r} were tried in this audit; there are {', '.join(learners)}")
    keys = ["column", "group", *([] if learner else ["model"])]
    chosen = plain[plain["model"] == learner] if learner else plain
    numbers = chosen.set_index(keys).drop(columns=["remark", *(["model"] if learner else [])])
    numbers = numbers.apply(pd.to_numeric)
    numbers.columns = pd.MultiIndex.from_tuples([_column(str(name)) for name in numbers.columns])
    numbers.index = numbers.index.rename(["column", "group", *([] if learner else ["learner"])])
    return _with_intervals(numbers, level) if intervals else numbers


def _found(record: Record) -> tuple[EvidenceReading, float]:
    for reading in record.measurements:
        for part in reading.evidence:
            if part.title == TITLE:
                return part, reading.level
    raise Refusal("the record holds no metric frame: audit the metrics of fairness, with a label and groups")


def _column(name: str) -> tuple[str, str]:
    if name in COUNTS:
        return "rows", COUNTS[name]
    rate, _, model = name.rpartition(", ")
    return MODELS[model], rate.replace(" ", "_")


def _with_intervals(numbers: pd.DataFrame, level: float) -> pd.DataFrame:
    """Wilson's interval of each rate, over the rows that it is counted over."""
    import numpy as np
    import pandas as pd

    from counterproof.metrics.estimate import normal_quantile
    from counterproof.metrics.statistics.proportions import wilson_ends

    made: dict[tuple[str, str], pd.Series[float]] = {}
    for place in numbers.columns.to_flat_index().tolist():
        model, rate = str(place[0]), str(place[1])
        values = numbers[model, rate]
        made[model, rate] = values
        if model == "rows":
            continue
        over = {"true_positive_rate": "positives", "false_positive_rate": "negatives"}.get(rate, "n")
        rows = numbers["rows", over]
        if rate == "precision":
            rows = (rows * numbers[model, "selection_rate"]).round()
        known = values.notna() & (rows > 0)
        n = np.where(known, rows, 1.0)
        hits = np.where(known, (values * rows).round(), 0.0)
        for name, end in zip(("low", "high"), wilson_ends(hits, n, normal_quantile(0.5 + level / 2)), strict=True):
            made[model, f"{rate}_{name}"] = pd.Series(np.where(known, end, np.nan), index=numbers.index)
    return pd.DataFrame(made)
