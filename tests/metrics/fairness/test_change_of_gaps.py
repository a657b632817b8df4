"""Gaps between groups, what the release changes of them, and what is too little to say."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.reference_statistics import newcombe_sidak
from helpers.staged_models import bench_of, decisions, staged, table, unsteady
from scipy.stats import norm
from simulations.simulate_change_coverage import simulate

from counterproof.judging.gates import judge_gates
from counterproof.judging.policy import policy_gates
from counterproof.measuring.measure import measure
from counterproof.metrics.errors import MetricError
from counterproof.metrics.fairness.group_gaps import (
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
    worst_group_accuracy,
)
from counterproof.metrics.metric import Metric, Value
from counterproof.metrics.statistics.proportions import paired_error
from counterproof.metrics.workbench import Workbench
from counterproof.reports.model import GateReading, Reading

Z = norm.ppf(0.975)
GAPS = (demographic_parity_difference, equal_opportunity_difference, equalized_odds_difference)


def _values(metric: Metric, bench: Workbench, **options: object) -> dict[tuple[str, tuple], Value]:
    params = metric.configure({"models": ("linear",), **options})
    return {(v.field, v.group): v for v in metric.values(bench, params)}


def _gated(metric: Metric, bench: Workbench) -> list[GateReading]:
    """The policy's gate on what the engine makes of the metric."""
    made = measure(metric, bench, metric.configure({"models": ("linear",)}))
    readings = [Reading.of(m, family=metric.family, title=metric.title) for m in made]
    assert not [r.reason for r in readings if r.status == "error"]
    return judge_gates(policy_gates([metric]), readings)


def _staged(n: int = 1500, seed: int = 0, **options: object) -> tuple[Workbench, dict[str, np.ndarray]]:
    """Three groups, a rare positive class, two models that decide differently in the groups."""
    rng = np.random.default_rng(seed)
    group = rng.choice(["F", "M", "X"], n, p=[0.4, 0.5, 0.1])
    positive = rng.random(n) < 0.4
    shift = np.where(group == "F", 0.15, 0.0)
    real = rng.random(n) < np.where(positive, 0.8, 0.2) + shift
    synthetic = rng.random(n) < np.where(positive, 0.7, 0.3) - shift
    labels = np.where(positive, "yes", "no")
    bench = staged(labels, real=decisions(real), synthetic=decisions(synthetic), groups={"sex": group}, **options)
    return bench, {"group": group, "positive": positive, "real": real, "synthetic": synthetic}


def _rates(rows: dict[str, np.ndarray], model: str, among: np.ndarray) -> dict[str, float]:
    return {g: rows[model][among & (rows["group"] == g)].mean() for g in ("F", "M", "X")}


def test_the_gaps_are_fairlearns() -> None:
    bench, rows = _staged()
    everybody = np.ones(len(rows["positive"]), dtype=bool)
    where = (("sex", None), ("learner", "linear"))

    def gap(model: str, among: np.ndarray) -> float:
        rates = _rates(rows, model, among).values()
        return max(rates) - min(rates)

    for model in ("real", "synthetic"):
        positives, negatives = gap(model, rows["positive"]), gap(model, ~rows["positive"])
        expected = (gap(model, everybody), positives, max(positives, negatives))
        for metric, value in zip(GAPS, expected, strict=True):
            assert _values(metric, bench)[model, where].estimate.value == pytest.approx(value)


def test_the_gap_has_the_simultaneous_interval_over_all_groups() -> None:
    bench, rows = _staged()
    hits = [int(rows["real"][rows["group"] == g].sum()) for g in "FMX"]
    sizes = [int((rows["group"] == g).sum()) for g in "FMX"]
    e = _values(demographic_parity_difference, bench)["real", (("sex", None), ("learner", "linear"))].estimate
    assert e == newcombe_sidak(hits, sizes)


def test_the_change_is_signed_and_paired_by_test_rows() -> None:
    bench, rows = _staged()
    value = _values(demographic_parity_difference, bench)["change", (("sex", "F – M"), ("learner", "linear"))]
    everybody = np.ones(len(rows["positive"]), dtype=bool)
    real, synthetic = (_rates(rows, model, everybody) for model in ("real", "synthetic"))
    assert value.estimate.value == pytest.approx((synthetic["F"] - synthetic["M"]) - (real["F"] - real["M"]))
    assert value.estimate.value < -0.2
    errors = []
    for g in "FM":
        inside = rows["group"] == g
        gained = int((rows["synthetic"] & ~rows["real"] & inside).sum())
        lost = int((rows["real"] & ~rows["synthetic"] & inside).sum())
        errors.append(paired_error(gained, lost, int(inside.sum())))
    assert value.estimate.high - value.estimate.value == pytest.approx(Z * math.hypot(*errors))
    assert (value.better, value.decidable) == (None, True)
    assert demographic_parity_difference.better == "zero"


def test_equalized_odds_tells_its_two_rates_apart() -> None:
    bench, _ = _staged()
    found = _values(equalized_odds_difference, bench)
    cells = {group for field, group in found if field == "change" and len(group) == 3}
    assert {dict(group)["rate"] for group in cells} == {"true positive rate", "false positive rate"}
    opportunity = _values(equal_opportunity_difference, bench)
    for (field, group), value in opportunity.items():
        if field == "change" and len(group) == 2:
            twin = found[field, (*group, ("rate", "true positive rate"))]
            assert twin.estimate == value.estimate


def test_small_groups_are_measured_against_the_largest_but_cannot_decide() -> None:
    bench, _ = _staged()
    unsteady(bench, 0.9)
    found = _values(demographic_parity_difference, bench)
    pairs = {dict(g)["sex"]: v for (f, g), v in found.items() if f == "change" and len(g) == 2}
    assert {name: value.decidable for name, value in pairs.items()} == {"F – M": True, "M – X": False}
    wide, narrow = (pairs[name].estimate for name in ("M – X", "F – M"))
    assert wide.high - wide.low > narrow.high - narrow.low
    whole = found["change", (("sex", None),)]
    assert (whole.decidable, whole.estimate.value) == (True, narrow.value)


def test_decidability_is_counted_on_real_test_rows_not_on_the_release() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2600, 2))
    labels = np.where(x[:, 0] > 0, "yes", "no")
    group = np.where(rng.random(2600) < 0.5, "F", "M")
    group[600:1200] = "M"  # a release without women
    bench = bench_of(table(x, labels, groups={"sex": group}), learning=600, synthetic_train=600)
    found = _values(demographic_parity_difference, bench)
    assert found["change", (("sex", "F – M"), ("learner", "linear"))].decidable


def test_a_group_of_one_never_claims_to_be_sure() -> None:
    n = 900
    group = np.array(["F"] * 450 + ["M"] * 449 + ["Z"])
    labels = np.resize(["no", "yes"], n)
    same = decisions(labels == "yes")
    bench = staged(labels, real=same, synthetic=same, groups={"sex": group})
    place = ("change", (("sex", "F – Z"), ("learner", "linear")))
    hidden = _values(demographic_parity_difference, bench)[place]
    assert (hidden.status, hidden.decidable) == ("not_assessable", False)
    assert hidden.reason == "too few rows: fewer than 10 real rows"
    bench = replace(bench, show_real=True)
    found = _values(demographic_parity_difference, bench)
    lone = found[place]
    assert not lone.decidable
    assert lone.estimate.high > 0.5
    assert lone.reason == "450 and fewer than 10 trial rows"
    gap = found["synthetic", (("sex", None), ("learner", "linear"))].estimate
    assert gap.high > 0.5
    assert all("Z" not in row for row in found["change", ()].evidence[0].rows)


def test_a_group_without_positives_is_listed_as_not_assessable() -> None:
    bench, rows = _staged()
    group = np.where(rows["group"] == "X", "X", "M")
    labels = np.where(rows["positive"] & (group == "M"), "yes", "no")
    bench = staged(labels, real=decisions(rows["real"]), synthetic=decisions(rows["synthetic"]), groups={"g": group})
    found = _values(equal_opportunity_difference, bench)
    value = found["change", (("g", "M – X"), ("learner", "linear"))]
    assert (value.status, value.decidable) == ("not_assessable", False)
    assert value.reason == "no real test row to count a true positive rate over"


def test_a_model_that_decides_the_same_for_all_has_no_gap_but_an_accuracy() -> None:
    bench, rows = _staged()
    never = np.zeros_like(rows["real"])
    labels = np.where(rows["positive"], "yes", "no")
    bench = staged(labels, real=decisions(rows["real"]), synthetic=decisions(never), groups={"sex": rows["group"]})
    for metric in GAPS:
        found = _values(metric, bench)
        assert set(found) == {("change", ()), ("change", (("learner", "linear"),))}
        for value in found.values():
            assert value.status == "not_assessable"
            assert "trained on the release decides the same for every row" in value.reason
    accuracy = _values(worst_group_accuracy, bench)["change", (("sex", "M"), ("learner", "linear"))].estimate
    inside = rows["group"] == "M"
    right = (~rows["positive"][inside]).mean() - (rows["real"] == rows["positive"])[inside].mean()
    assert accuracy.value == pytest.approx(right)


def test_the_worst_groups_accuracy_is_the_lowest_of_each_model() -> None:
    bench, rows = _staged()
    unsteady(bench, 0.2)
    found = _values(worst_group_accuracy, bench)
    right = {m: rows[m] == rows["positive"] for m in ("real", "synthetic")}
    by_group = {m: {g: right[m][rows["group"] == g].mean() for g in "FMX"} for m in right}
    for model, rates in by_group.items():
        value = found[model, (("sex", None), ("learner", "linear"))]
        assert value.estimate.value == pytest.approx(min(rates.values()))
        assert value.better == "higher"
    changes = {g: by_group["synthetic"][g] - by_group["real"][g] for g in "FMX"}
    cells = {dict(g)["sex"]: v for (f, g), v in found.items() if f == "change" and len(g) == 2}
    assert {g: v.estimate.value for g, v in cells.items()} == pytest.approx(changes)
    assert {g: v.decidable for g, v in cells.items()} == {"F": True, "M": True, "X": False}
    assert found["change", ()].estimate.value == pytest.approx(min(changes["F"], changes["M"]))
    assert worst_group_accuracy.better == "higher"


def test_more_than_two_classes_need_a_positive_one() -> None:
    rng = np.random.default_rng(4)
    labels, group = rng.choice(["a", "b", "c"], 1200), rng.choice(["F", "M"], 1200)
    real, synthetic = np.eye(3)[rng.integers(0, 3, 1200)], np.eye(3)[rng.integers(0, 3, 1200)]
    bench = staged(labels, real=real, synthetic=synthetic, groups={"sex": group})
    for metric in GAPS:
        (value,) = _values(metric, bench).values()
        assert (value.status, value.reason) == (
            "not_applicable",
            "label has 3 classes: set positive to judge one of them; worst_group_accuracy covers all",
        )
        (gate,) = _gated(metric, bench)
        assert gate.verdict == "not_applicable"
    named = _values(demographic_parity_difference, bench, positive="b")
    rates = [(synthetic.argmax(1) == 1)[group == g].mean() - (real.argmax(1) == 1)[group == g].mean() for g in "FM"]
    cell = named["change", (("sex", "F – M"), ("learner", "linear"))]
    assert cell.estimate.value == pytest.approx(rates[0] - rates[1])
    with pytest.raises(MetricError, match="no real row has label = 'd'"):
        _values(demographic_parity_difference, bench, positive="d")
    assert _values(worst_group_accuracy, bench)["change", ()].status == "measured"


def test_one_stray_label_does_not_switch_the_question_off() -> None:
    _, rows = _staged()
    labels = np.where(rows["positive"], "yes", "no")
    three = np.where(np.arange(len(labels)) < 3, "?", labels)
    models = {name: np.column_stack([np.zeros(len(labels)), decisions(rows[name])]) for name in ("real", "synthetic")}
    bench = staged(three, **models, groups={"sex": rows["group"]})
    found = _values(demographic_parity_difference, bench)
    assert found["change", ()].status == "measured"
    assert found == _values(demographic_parity_difference, bench, positive="yes")
    assert _values(demographic_parity_difference, replace(bench, small_cell=3))["change", ()].status == "not_applicable"


@pytest.mark.parametrize("metric", [*GAPS, worst_group_accuracy], ids=lambda metric: metric.id)
def test_groups_that_are_all_too_small_are_undecided_and_said_so(metric: Metric) -> None:
    _, rows = _staged(100)
    labels, same = np.where(rows["positive"], "yes", "no"), decisions(rows["real"])
    bench = unsteady(staged(labels, real=same, synthetic=same, groups={"sex": rows["group"]}), 0.4)
    headline = _values(metric, bench)["change", ()]
    assert not headline.decidable
    assert re.fullmatch(r"too few rows: about \d+ rows a side would decide it", headline.reason)
    (gate,) = _gated(metric, bench)
    assert gate.verdict == "undecided"
    assert gate.why.startswith("too few rows")
    assert gate.too_few


def test_a_single_group_leaves_nothing_to_compare_and_crashes_nothing() -> None:
    bench, rows = _staged()
    labels = np.where(rows["positive"], "yes", "no")
    one = np.full(len(labels), "F")
    bench = staged(labels, real=decisions(rows["real"]), synthetic=decisions(rows["synthetic"]), groups={"sex": one})
    for metric in GAPS:
        (gate,) = _gated(metric, bench)
        assert gate.verdict == "inconclusive"
        assert "fewer than two groups to compare" in gate.why
    assert _gated(worst_group_accuracy, bench)[0].verdict in ("pass", "fail", "inconclusive")


@pytest.mark.parametrize("metric", [*GAPS, worst_group_accuracy], ids=lambda metric: metric.id)
def test_test_rows_of_one_source_are_not_assessable(metric: Metric) -> None:
    _, rows = _staged()
    labels, n = np.where(rows["positive"], "yes", "no"), len(rows["positive"])
    models = {name: decisions(rows[name]) for name in ("real", "synthetic")}
    bench = staged(labels, **models, groups={"sex": rows["group"]}, clusters=np.zeros(n, dtype=np.intp))
    (gate,) = _gated(metric, bench)
    assert gate.verdict == "inconclusive"
    assert "come from one source" in gate.why


def test_positives_of_one_source_are_not_assessable() -> None:
    _, rows = _staged()
    labels, n = np.where(rows["positive"], "yes", "no"), len(rows["positive"])
    models = {name: decisions(rows[name]) for name in ("real", "synthetic")}
    sources = np.where(rows["positive"], 0, np.arange(n)).astype(np.intp)
    bench = staged(labels, **models, groups={"sex": rows["group"]}, clusters=sources)
    for metric in (equal_opportunity_difference, equalized_odds_difference):
        (gate,) = _gated(metric, bench)
        assert gate.verdict == "inconclusive"
        assert "come from one source" in gate.why
    assert _values(worst_group_accuracy, bench)["change", ()].status == "measured"


def test_the_positive_class_is_the_rarer_real_one() -> None:
    bench, _ = _staged()
    default, named = (_values(equal_opportunity_difference, bench, **o) for o in ({}, {"positive": "yes"}))
    assert default == named
    assert _values(equal_opportunity_difference, bench, positive="no") != named


def test_nulls_yield_the_same_cells_without_intervals() -> None:
    bench, _ = _staged()
    for metric in (*GAPS, worst_group_accuracy):
        params = metric.configure({"models": ("linear",)})
        null = {v.group: v for v in metric.values(bench.halves(3), params)}
        assert set(null) == {group for field, group in _values(metric, bench) if field == "change"}
        assert all(v.field == "change" and v.estimate.value == v.estimate.high == 0 for v in null.values())


def test_rows_of_one_source_widen_the_interval() -> None:
    bench, rows = _staged()
    fourfold = {name: np.repeat(values, 4) for name, values in rows.items()}
    again = staged(
        np.where(fourfold["positive"], "yes", "no"),
        real=decisions(fourfold["real"]),
        synthetic=decisions(fourfold["synthetic"]),
        groups={"sex": fourfold["group"]},
        clusters=np.repeat(np.arange(len(rows["real"])), 4),
    )
    place = ("change", (("sex", "F – M"), ("learner", "linear")))
    once, twin = (_values(demographic_parity_difference, b)[place].estimate for b in (bench, again))
    assert twin.high - twin.low == pytest.approx(once.high - once.low, rel=0.02)


def test_missing_and_hostile_group_values_keep_their_names() -> None:
    _, rows = _staged()
    evil = "</script><script>alert(1)</script>"
    group = np.where(rows["group"] == "F", evil, np.where(rows["group"] == "X", "", "M"))
    labels = np.where(rows["positive"], "yes", "no")
    bench = staged(labels, real=decisions(rows["real"]), synthetic=decisions(rows["synthetic"]), groups={evil: group})
    names = {g[0] for f, g in _values(demographic_parity_difference, bench) if f == "change" and len(g) == 2}
    assert names == {(evil, f"{evil} – M"), (evil, "(missing) – M"), (evil, f"(missing) – {evil}")}


def test_a_release_that_unlearns_one_group_is_seen_and_fresh_rows_are_not() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(6000, 3))
    group = np.where(rng.random(6000) < 0.5, "F", "M")
    labels = np.where(x[:, 0] + 0.5 * rng.normal(size=6000) > 0.5, "yes", "no")
    place = ("change", (("sex", "F – M"), ("learner", "linear")))
    fresh = bench_of(table(x, labels, groups={"sex": group}), learning=2000, synthetic_train=2000)
    e = _values(equal_opportunity_difference, fresh)[place].estimate
    assert -0.25 < e.low < 0 < e.high < 0.25
    labels = labels.copy()
    release = np.arange(6000) // 2000 == 1
    labels[release & (group == "F")] = "no"
    broken = bench_of(table(x, labels, groups={"sex": group}), learning=2000, synthetic_train=2000)
    assert _values(equal_opportunity_difference, broken)[place].estimate.high < -0.25


def test_the_report_gets_a_forest_and_the_groups_behind_it() -> None:
    found = _values(demographic_parity_difference, _staged()[0])["change", ()]
    panel, evidence = found.panels[0], found.evidence[0]
    assert panel.kind == "forest"
    assert panel.data["limit"] == demographic_parity_difference.tolerances[0].limit
    entry = panel.data["entries"][0]
    assert entry["label"] == "sex: F – M · linear"
    assert entry["change"]["value"] == pytest.approx(entry["synthetic"]["value"] - entry["real"]["value"])
    assert len(evidence.rows[0]) == len(evidence.columns)
    assert abs(evidence.rows[0][-1]) >= abs(evidence.rows[-1][-1])


@pytest.mark.slow
@pytest.mark.parametrize("flipped", [0.0, 0.4])
def test_the_interval_covers_the_expected_change(flipped: float) -> None:
    found = simulate(runs=80, train=1000, test=1500, flipped=flipped, learners=("linear",))
    assert len(found) == 9
    for name, line in found.items():
        # 80 runs: three standard errors below 95 % are 88 %.
        assert line["coverage"] >= 0.88, name
    assert np.mean([line["coverage"] for line in found.values()]) >= 0.92
