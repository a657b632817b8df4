"""Differences, ratios and rates by group are Fairlearn's, to the last bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.staged_models import Places, decisions, people, staged

from counterproof.metrics.fairness.group_gaps import (
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
    predictive_parity_difference,
    worst_group_accuracy,
)
from counterproof.metrics.metric import Metric
from counterproof.metrics.workbench import Workbench

COLUMNS = (("sex",), ("race",), ("sex", "race"), ("sex", "race", "age"))
METHODS = ("between_groups", "to_overall")
RATES = {
    demographic_parity_difference.id: "selection_rate",
    equal_opportunity_difference.id: "true_positive_rate",
    predictive_parity_difference.id: "precision",
}


def audited(table: pd.DataFrame, metric: Metric, *, intersections: int = 3, **options: Any) -> Places:
    groups = {name: table[name].to_numpy(dtype=np.str_) for name in ("sex", "race", "age")}
    models = {name: decisions(table[name].to_numpy()) for name in ("real", "synthetic")}
    made = staged(np.where(table["truth"], "yes", "no"), **models, groups=groups)
    bench = Workbench(**{**vars(made), "intersections": intersections, "show_real": True})
    params = metric.configure({"models": ("linear",), **options})
    return {(v.field, v.group): v for v in metric.values(bench, params)}


def number(found: Places, field: str, column: str, model: str, *level: tuple[str, str]) -> float:
    value = found[field, ((column, None), *level, ("learner", "linear"), ("model", model))]
    assert value.estimate is not None
    assert value.estimate.low <= value.estimate.value <= value.estimate.high
    return value.estimate.value


@pytest.fixture
def metrics(peer: Callable[[str], ModuleType]) -> ModuleType:
    return peer("fairlearn.metrics")


@pytest.mark.parametrize("method", METHODS)
def test_functions_give_the_same(metrics: ModuleType, method: str) -> None:
    table = people(1500)
    asked = {
        "demographic_parity": (demographic_parity_difference, {}),
        "equal_opportunity": (equal_opportunity_difference, {}),
        "equalized_odds": (equalized_odds_difference, {}),
        "equalized_odds of the mean": (equalized_odds_difference, {"agg": "mean"}),
    }
    for called, (metric, options) in asked.items():
        found = audited(table, metric, method=method, **options)
        for columns, model, kind in product(COLUMNS, ("real", "synthetic"), ("difference", "ratio")):
            theirs = getattr(metrics, f"{called.split()[0]}_{kind}")(
                table["truth"], table[model], sensitive_features=table[list(columns)], method=method, **options
            )
            name = ", ".join(columns)
            assert number(found, kind, name, model) == pytest.approx(theirs, abs=1e-12, rel=0)
            plain = found[model, ((name, None), ("learner", "linear"))].estimate
            assert plain is not None
            assert plain.value == number(found, "difference", name, model)


@pytest.mark.parametrize("method", METHODS)
def test_control_features_are_held_fixed_alike(metrics: ModuleType, method: str) -> None:
    import sklearn.metrics

    table = people(1500)
    functions = {
        "selection_rate": metrics.selection_rate,
        "true_positive_rate": metrics.true_positive_rate,
        "precision": sklearn.metrics.precision_score,
    }
    for metric in (demographic_parity_difference, equal_opportunity_difference, predictive_parity_difference):
        found = audited(table, metric, method=method, control=("race", "age"), intersections=1)
        for model in ("real", "synthetic"):
            frame = metrics.MetricFrame(
                metrics=functions[RATES[metric.id]],
                y_true=table["truth"],
                y_pred=table[model],
                sensitive_features=table["sex"],
                control_features=table[["race", "age"]],
            )
            for kind in ("difference", "ratio"):
                theirs = getattr(frame, kind)(method=method)
                for (race, age), expected in theirs.items():
                    ours = number(found, kind, "sex", model, ("race", race), ("age", age))
                    assert ours == pytest.approx(expected, abs=1e-12, rel=0)


def test_the_frame_holds_the_same_rates(metrics: ModuleType) -> None:
    import sklearn.metrics

    table = people(1500)
    functions = {
        "selection rate": metrics.selection_rate,
        "true positive rate": metrics.true_positive_rate,
        "false positive rate": metrics.false_positive_rate,
        "accuracy": sklearn.metrics.accuracy_score,
        "precision": sklearn.metrics.precision_score,
    }
    whole = audited(table, worst_group_accuracy)["change", ()]
    (evidence,) = [part for part in whole.evidence if part.title == "Metric frame"]
    ours = pd.DataFrame(list(evidence.rows), columns=list(evidence.columns)).set_index(["column", "group"])
    for model, suffix in {"real": "real", "synthetic": "release"}.items():
        theirs = _by_group(metrics, functions, table, model)
        assert len(theirs) == 2 * 3 * 2
        for place, row in theirs.iterrows():
            for name in functions:
                mine = ours.loc[("sex, race, age", ", ".join(place)), f"{name}, {suffix}"]  # type: ignore[arg-type]
                assert mine == pytest.approx(row[name], abs=1e-12, rel=0)


def _by_group(metrics: ModuleType, functions: Mapping[str, Any], table: pd.DataFrame, model: str) -> pd.DataFrame:
    frame: pd.DataFrame = metrics.MetricFrame(
        metrics=dict(functions),
        y_true=table["truth"],
        y_pred=table[model],
        sensitive_features=table[["sex", "race", "age"]],
    ).by_group
    return frame


@pytest.mark.parametrize("method", METHODS)
def test_rates_of_zero_are_no_ratio(metrics: ModuleType, method: str) -> None:
    table = people(1500)
    table["synthetic"] &= table["sex"] == "F"
    found = audited(table, demographic_parity_difference, method=method, intersections=1)
    theirs = metrics.demographic_parity_ratio(
        table["truth"], table["synthetic"], sensitive_features=table["sex"], method=method
    )
    assert number(found, "ratio", "sex", "synthetic") == theirs == 0
    never = table.assign(synthetic=table["synthetic"] & ~table["truth"])
    missed = audited(never, equal_opportunity_difference, method=method, intersections=1)
    undefined = missed["ratio", (("sex", None), ("learner", "linear"), ("model", "synthetic"))]
    assert (undefined.status, undefined.reason) == (
        "not_assessable",
        "the rate is 0 in every group: 0/0 is no ratio",
    )
    theirs = metrics.equal_opportunity_ratio(
        never["truth"], never["synthetic"], sensitive_features=never["sex"], method=method
    )
    assert np.isnan(theirs)
