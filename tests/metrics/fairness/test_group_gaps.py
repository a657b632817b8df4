"""Gaps between crossings of groups, to all rows and within columns held fixed; what is too small or too many."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.staged_models import Places, bench_of, decisions, people, stage, staged, table, unsteady
from simulations.simulate_gap_coverage import simulate

from counterproof.measuring.measure import measure
from counterproof.metrics.engine.shared_work import SharedWork
from counterproof.metrics.errors import MetricError
from counterproof.metrics.fairness.group_gaps import (
    calibration_difference,
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
    predictive_parity_difference,
    worst_group_accuracy,
)
from counterproof.metrics.metric import Metric, Value
from counterproof.metrics.statistics.proportions import newcombe, paired_error
from counterproof.metrics.statistics.ratios import mover_ratio
from counterproof.metrics.workbench import FORECAST, Workbench

MODELS = ("real", "synthetic")
LINEAR = ("learner", "linear")
GAPS = (
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
    predictive_parity_difference,
    calibration_difference,
)


def bench_for(rows: pd.DataFrame, *, intersections: int = 2, **options: Any) -> Workbench:
    groups = {name: rows[name].to_numpy(dtype=np.str_) for name in rows if name in ("sex", "race", "age", "id")}
    models = {name: decisions(rows[name].to_numpy()) for name in ("real", "synthetic")}
    made = staged(np.where(rows["truth"], "yes", "no"), **models, groups=groups, clusters=options.pop("clusters", None))
    return replace(made, intersections=intersections, **options)


def found_by(metric: Metric, bench: Workbench, **options: Any) -> Places:
    params = metric.configure({"models": ("linear",), **options})
    return {(v.field, v.group): v for v in metric.values(bench, params)}


def change(found: Places, column: str, cell: str, *level: tuple[str, str]) -> Value:
    return found["change", ((column, cell), *level, LINEAR)]


def test_crossings_are_pairs_of_combinations() -> None:
    rows = people()
    found = found_by(demographic_parity_difference, bench_for(rows))
    rates = rows.groupby(["sex", "race"])[["real", "synthetic"]].mean()
    moved = rates["synthetic"] - rates["real"]
    value = change(found, "sex, race", "F, a – M, b")
    assert value.estimate is not None
    assert value.estimate.value == pytest.approx(moved["F", "a"] - moved["M", "b"])
    assert value.decidable
    columns = {group[0][0] for field, group in found if field == "change" and len(group) == 2}
    assert columns == {"sex", "race", "age", "sex, race", "sex, age", "race, age"}
    errors = []
    for sex, race in (("F", "a"), ("M", "b")):
        inside = rows[(rows["sex"] == sex) & (rows["race"] == race)]
        gained, lost = (inside["synthetic"] & ~inside["real"]).sum(), (inside["real"] & ~inside["synthetic"]).sum()
        errors.append(paired_error(int(gained), int(lost), len(inside)))
    assert value.estimate.high - value.estimate.value == pytest.approx(1.959964 * math.hypot(*errors))


def test_crossings_are_asked_for() -> None:
    bench = bench_for(people(), intersections=1)
    alone = found_by(demographic_parity_difference, bench)
    both = found_by(demographic_parity_difference, replace(bench, intersections=2, work=bench.work.copy()))
    assert {group[0][0] for _, group in alone if group} == {"sex", "race", "age"}
    for place, value in alone.items():
        if place[1]:
            assert both[place] == value


@pytest.mark.parametrize("metric", GAPS, ids=lambda metric: metric.id)
def test_a_change_to_overall_is_that_from_the_rest_in_its_share(metric: Metric) -> None:
    found = found_by(metric, bench_for(people()), method="to_overall")
    cells = {group[0][1] for field, group in found if field == "change" and group[:1] == (("race", None),)}
    assert cells == {None}
    several = [v for (field, group), v in found.items() if field == "change" and group and group[0][0] == "sex, race"]
    assert len([v for v in several if v.group[0][1]]) == 6 * (2 if metric is equalized_odds_difference else 1)
    assert all(v.group[0][1] is None or v.group[0][1].endswith(" – overall") for v in several)


def test_the_change_to_overall_has_the_paired_error_of_both_sides() -> None:
    rows = people()
    found = found_by(demographic_parity_difference, bench_for(rows), method="to_overall")
    moved = rows["synthetic"].astype(int) - rows["real"].astype(int)
    inside = rows["race"] == "c"
    value = change(found, "race", "c – overall").estimate
    assert value is not None
    assert value.value == pytest.approx(moved[inside].mean() - moved.mean())
    errors = [
        paired_error(int((part == 1).sum()), int((part == -1).sum()), len(part))
        for part in (moved[inside], moved[~inside])
    ]
    assert value.high - value.value == pytest.approx(1.959964 * (1 - inside.mean()) * math.hypot(*errors))


def test_columns_held_fixed_are_levels_of_their_own() -> None:
    rows = people()
    found = found_by(demographic_parity_difference, bench_for(rows), control=("race",))
    assert {group[0][0] for field, group in found if field == "change" and group} == {"sex", "age", "sex, age"}
    for race in "abc":
        rates = rows[rows["race"] == race].groupby("sex")[["real", "synthetic"]].mean()
        moved = rates["synthetic"] - rates["real"]
        value = change(found, "sex", "F – M", ("race", race))
        assert value.estimate is not None
        assert value.estimate.value == pytest.approx(moved["F"] - moved["M"])
        gap = found["real", (("sex", None), ("race", race), LINEAR)].estimate
        assert gap is not None
        assert gap.value == pytest.approx(abs(rates["real"]["F"] - rates["real"]["M"]))
    worst = found["change", (("sex", None),)].estimate
    assert worst is not None
    decided = [change(found, "sex", "F – M", ("race", race)) for race in "abc"]
    assert abs(worst.value) == max(abs(v.estimate.value) for v in decided if v.estimate and v.decidable)


def test_unknown_columns_cannot_be_held_fixed() -> None:
    bench = bench_for(people(600))
    with pytest.raises(MetricError, match="'income' is no group column; choose from sex, race, age"):
        found_by(demographic_parity_difference, bench, control=("income",))
    with pytest.raises(MetricError, match="every group column is held fixed"):
        found_by(demographic_parity_difference, bench, control=("sex", "race", "age"))
    with pytest.raises(MetricError, match="method"):
        found_by(demographic_parity_difference, bench, method="sideways")


def test_crossings_of_few_real_rows_are_listed_and_not_told() -> None:
    rows = people(1200)
    rows.loc[:3, ["sex", "race", "age"]] = ["F", "d", "old"]
    rows.loc[4:13, ["sex", "race", "age"]] = ["M", "d", "old"]
    found = found_by(demographic_parity_difference, bench_for(rows, intersections=3))
    largest = ", ".join(rows.groupby(["sex", "race"]).size().idxmax())
    few = change(found, "sex, race", " – ".join(sorted([largest, "F, d"])))
    assert (few.status, few.decidable, few.estimate) == ("not_assessable", False, None)
    assert few.reason == "too few rows: fewer than 10 real rows"
    enough = change(found, "sex, race", f"{largest} – M, d")
    assert (enough.status, enough.decidable) == ("measured", False)
    shown = found_by(demographic_parity_difference, bench_for(rows, intersections=3, show_real=True))
    assert change(shown, "sex, race", " – ".join(sorted([largest, "F, d"]))).status == "measured"
    hits = rows[rows["race"] != "d"].groupby(["sex", "race"])["real"].mean()
    gap = found["real", (("sex, race", None), LINEAR)].estimate
    others = pd.concat([hits, rows[(rows["race"] == "d") & (rows["sex"] == "M")].groupby("sex")["real"].mean()])
    assert gap is not None
    assert gap.value == pytest.approx(others.max() - others.min())


def test_a_group_of_five_is_never_sure() -> None:
    rows = people(2000)
    rows.loc[:4, "race"] = "e"
    rows.loc[:4, ["truth", "real", "synthetic"]] = True
    rows.loc[0, "truth"] = False
    bench = bench_for(rows, intersections=1, show_real=True)
    for metric in GAPS[:4]:
        for (field, group), value in found_by(metric, bench).items():
            if group and group[0] == ("race", "a – e"):
                assert value.estimate is not None
                assert not value.decidable
                assert value.estimate.high - value.estimate.low > 0.4
            if field in ("difference", "real") and group[:1] == (("race", None),) and value.estimate:
                assert value.estimate.high > value.estimate.value > value.estimate.low
    frame = found_by(worst_group_accuracy, bench_for(rows, intersections=1))["change", ()].evidence[1]
    (row,) = [row for row in frame.rows if row[1] == "e"]
    assert row[3:] == (None,) * (len(row) - 4) + ("too few rows",)


def test_a_column_of_ten_thousand_groups_is_refused_in_a_sentence() -> None:
    bench = bench_for(people(20_000, seed=3))
    bench.corpus.groups["id"] = (np.arange(60_000) % 10_000).astype(np.str_)
    started = time.process_time()
    found = found_by(demographic_parity_difference, bench)
    assert time.process_time() - started < 6
    told = found["change", (("id", None),)]
    assert told.status == "not_assessable"
    assert told.reason == "id has 10000 values, and 100 can be compared at most: group them more coarsely"
    assert not any("id" in str(group) for _, group in found if group != (("id", None),))
    assert found["change", ()].status == "measured"
    with pytest.raises(MetricError, match="id has 10000 values; 100 can be held fixed at most"):
        found_by(demographic_parity_difference, bench, control=("id",))
    for name in ("sex", "race", "age"):
        del bench.corpus.groups[name]
    forecasts = SharedWork()
    for key, said in bench.work.results(FORECAST):
        forecasts.put(key, said)
    alone = found_by(demographic_parity_difference, replace(bench, work=forecasts))
    assert alone["change", ()].reason == "no group column has few enough values to compare"


def test_many_crossings_are_compared_with_the_largest_and_the_smallest_only_counted() -> None:
    rng = np.random.default_rng(55)
    rows = people(9000, seed=5)
    rows["race"] = rng.choice(list("abcdefgh"), len(rows))
    rows["age"] = rng.integers(0, 40, len(rows)).astype(str)
    found = found_by(demographic_parity_difference, unsteady(bench_for(rows, small_cell=1), 0.3))
    crossed = [
        group[0][1] for f, group in found if f == "change" and group and group[0][0] == "sex, race" and group[0][1]
    ]
    sizes = rows.groupby(["sex", "race"]).size()
    largest = ", ".join(sizes.idxmax())  # type: ignore[arg-type]
    assert len(crossed) == 15
    assert all(largest in str(cell).split(" – ") for cell in crossed)
    listed = [g for f, g in found if f == "change" and g and g[0][0] == "race, age" and g[0][1]]
    assert len(listed) == 20
    whole = found["change", (("race, age", None),)]
    assert not whole.decidable
    few = "too few rows: about [0-9]+ rows a side would decide it"
    unlisted = re.fullmatch(rf"{few}; ([0-9]+) more cells have too few rows", whole.reason)
    assert unlisted is not None
    assert int(unlisted[1]) >= 8 * 40 - 21


def test_a_group_absent_in_the_test_rows_is_listed() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(3000, 2))
    labels = np.where(x[:, 0] > 0, "yes", "no")
    group = rng.choice(["F", "M"], 3000)
    group[:50] = "X"
    bench = bench_of(table(x, labels, groups={"sex": group}), learning=800, synthetic_train=800)
    value = change(found_by(demographic_parity_difference, bench), "sex", "F – X")
    assert (value.status, value.decidable) == ("not_assessable", False)
    assert value.reason == "no real test row to count a selection rate over"


def test_rows_of_one_source_widen_crossings_and_overall_alike() -> None:
    rows = people(1500)
    again = pd.concat([rows] * 3, ignore_index=True)
    sources = np.tile(np.arange(len(rows)), 3)
    for metric in (demographic_parity_difference, predictive_parity_difference, calibration_difference):
        for method in ("between_groups", "to_overall"):
            once = found_by(metric, bench_for(rows, clusters=np.arange(len(rows))), method=method)
            thrice = found_by(metric, bench_for(again, clusters=sources), method=method)
            places = [p for p, v in once.items() if p[0] == "change" and v.decidable and v.group and v.group[0][1]]
            for place in places:
                few, many = once[place].estimate, thrice[place].estimate
                if few is not None and many is not None:
                    assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.06)


def test_precision_is_judged_on_what_each_model_selects() -> None:
    rows = people()
    found = found_by(predictive_parity_difference, bench_for(rows))
    precision = {m: rows[rows[m]].groupby("sex")["truth"].mean() for m in ("real", "synthetic")}
    moved = precision["synthetic"] - precision["real"]
    value = change(found, "sex", "F – M")
    assert value.estimate is not None
    assert value.estimate.value == pytest.approx(moved["F"] - moved["M"])
    for model, rates in precision.items():
        gap = found[model, (("sex", None), LINEAR)].estimate
        assert gap is not None
        assert gap.value == pytest.approx(abs(rates["F"] - rates["M"]))
    assert value.reason.endswith(" trial rows predicted positive")


def test_models_that_select_other_rows_have_the_error_of_independent_shares() -> None:
    rows = people(8000)
    rows["synthetic"] = ~rows["real"]
    value = change(found_by(predictive_parity_difference, bench_for(rows)), "sex", "F – M").estimate
    assert value is not None
    variance = 0.0
    for sex in "FM":
        for model in ("real", "synthetic"):
            chosen = rows[(rows["sex"] == sex) & rows[model]]["truth"]
            variance += chosen.mean() * (1 - chosen.mean()) / len(chosen)
    assert value.high - value.value == pytest.approx(1.959964 * math.sqrt(variance), rel=0.01)


def test_a_group_for_which_the_release_never_says_yes_blocks_and_does_not_crash() -> None:
    rows = people()
    rows["synthetic"] &= rows["sex"] == "F"
    value = change(found_by(predictive_parity_difference, bench_for(rows)), "sex", "F – M")
    assert (value.status, value.decidable) == ("not_assessable", True)
    assert value.reason == "a model predicts the positive class for no real test row of the group"


def scored_bench(seed: int = 0, n: int = 4000) -> tuple[Workbench, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"sex": rng.choice(["F", "M"], n), "right": rng.beta(2, 3, n)})
    rows["truth"] = rng.random(n) < rows["right"]
    rows["real"] = rows["right"]
    rows["synthetic"] = np.clip(rows["right"] + 0.1 * (rows["sex"] == "F"), 0, 1)
    models = {m: np.column_stack([1 - rows[m], rows[m]]) for m in ("real", "synthetic")}
    return staged(
        np.where(rows["truth"], "yes", "no"), **models, groups={"sex": rows["sex"].to_numpy(dtype=np.str_)}
    ), rows


def test_calibration_is_outcome_minus_score() -> None:
    bench, rows = scored_bench()
    found = found_by(calibration_difference, bench, positive="yes")
    off = {m: (rows["truth"] - rows[m]).groupby(rows["sex"]).mean() for m in ("real", "synthetic")}
    moved = off["synthetic"] - off["real"]
    value = change(found, "sex", "F – M").estimate
    assert value is not None
    assert value.value == pytest.approx(moved["F"] - moved["M"])
    assert value.value == pytest.approx(-0.1, abs=0.01)
    assert value.high < -0.08
    gaps = {m: found[m, (("sex", None), LINEAR)].estimate for m in ("real", "synthetic")}
    for model, gap in gaps.items():
        assert gap is not None
        assert gap.value == pytest.approx(abs(off[model]["F"] - off[model]["M"]))
        spread = (rows["truth"] - rows[model]).groupby(rows["sex"]).sem()
        assert gap.high - gap.value == pytest.approx(1.959964 * math.hypot(*spread), rel=0.01)
    assert gaps["real"].low == 0 < gaps["synthetic"].low  # type: ignore[union-attr]
    assert not any(field == "ratio" for field, _ in found)
    evidence = found["change", ()].evidence[-1]
    (women,) = [dict(zip(evidence.columns[4:], row[4:], strict=False)) for row in evidence.rows if row[1] == "F"]
    assert evidence.rows[0][4] == pytest.approx(evidence.rows[0][5], abs=0.015)
    assert evidence.rows[0][6] > 0.08
    assert women


def test_calibration_is_asked_of_a_model_that_decides_the_same_for_all() -> None:
    bench, rows = scored_bench()
    low = np.full(len(rows), 0.3)
    constant = replace(
        bench.forecast("linear", bench.synthetic_train),
        probability=np.column_stack([1 - low, low]),
        predicted=np.full(len(rows), "no"),
    )
    stage(bench, "linear", bench.synthetic_train, constant)
    assert found_by(calibration_difference, bench, positive="yes")["change", ()].status == "measured"
    assert found_by(demographic_parity_difference, bench, positive="yes")["change", ()].status == "not_assessable"


def test_minimax_is_the_move_of_the_worst_groups_accuracy() -> None:
    rows = people()
    found = found_by(worst_group_accuracy, unsteady(bench_for(rows), 0.16))
    large = pd.Series(
        {
            tuple(str(group[0][1]).split(", ")): value.decidable
            for (field, group), value in found.items()
            if field == "change" and group and group[0][0] == "sex, race" and group[0][1]
        }
    ).sort_index()
    assert large.sum() == 4
    right = {m: (rows[m] == rows["truth"]).groupby([rows["sex"], rows["race"]]).mean()[large] for m in MODELS}
    value = found["minimax", (("sex, race", None), LINEAR)]
    assert value.estimate is not None
    assert value.estimate.value == pytest.approx(right["synthetic"].min() - right["real"].min())
    assert value.estimate.low < value.estimate.value < value.estimate.high
    assert (value.better, value.reason) == ("higher", "without 2 smaller groups")
    assert value.estimate.low < 0 < value.estimate.high
    assert value.estimate.high - value.estimate.low < 0.25


def test_ratios_of_two_groups_are_mover_r() -> None:
    rows = people(800)
    rows["race"] = "a"
    found = found_by(demographic_parity_difference, bench_for(rows, intersections=1))
    e = found["ratio", (("sex", None), LINEAR, ("model", "real"))].estimate
    hits, sizes = rows.groupby("sex")["real"].sum(), rows.groupby("sex").size()
    low_group, high_group = sorted("FM", key=lambda sex: hits[sex] / sizes[sex])
    ends = []
    for sex in (low_group, high_group):
        share = newcombe(int(hits[sex]), int(sizes[sex]), 0, 10**9)
        ends += [hits[sex] / sizes[sex], share.low, share.high]
    (low,), (high,) = mover_ratio(*(np.array([end]) for end in ends))
    assert e is not None
    assert (e.value, e.low, e.high) == pytest.approx((ends[0] / ends[3], low, min(1.0, high)), rel=1e-4)
    assert e.scale == "log"


def test_mover_ratio_stands_zeros_and_mirrors() -> None:
    zero, half = np.zeros(1), np.full(1, 0.5)
    low, high = mover_ratio(zero, zero, np.full(1, 0.1), half, np.full(1, 0.4), np.full(1, 0.6))
    assert low[0] == 0
    assert 0.1 / 0.6 < high[0] < 0.3
    low, high = mover_ratio(half, np.full(1, 0.4), np.full(1, 0.6), zero, zero, np.full(1, 0.1))
    assert 4 < low[0] < 6
    assert np.isinf(high[0])


def test_what_release_models_do_is_the_worst_of_learners() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=(2400, 3))
    labels = np.where(x[:, 0] + 0.5 * rng.normal(size=2400) > 0.3, "yes", "no")
    bench = bench_of(table(x, labels, groups={"sex": rng.choice(["F", "M"], 2400)}), learning=800, synthetic_train=800)
    params = demographic_parity_difference.configure({"models": ("linear", "neighbours")})
    found = {(v.field, v.group): v for v in demographic_parity_difference.values(bench, params)}
    for field, pick in (("difference", max), ("ratio", min)):
        each = [
            found[field, (("sex", None), ("learner", learner), ("model", "synthetic"))].estimate
            for learner in ("linear", "neighbours")
        ]
        worst = found[field, (("sex", None),)].estimate
        assert worst is not None
        assert worst.value == pick(e.value for e in each if e is not None)
        assert worst.low <= worst.value <= worst.high


def test_a_label_of_one_class_says_so() -> None:
    group, x = np.resize(["F", "M"], 900), np.random.default_rng(1).normal(size=(900, 2))
    bench = bench_of(table(x, np.full(900, "yes"), groups={"sex": group}), learning=300, synthetic_train=300)
    for metric in GAPS:
        value = found_by(metric, bench)["change", ()]
        assert value.status == "not_assessable"
        assert value.reason == "the real rows hold fewer than two classes of label"


def test_the_engine_measures_them_all_without_a_crash() -> None:
    bench = bench_for(people(1500), intersections=3)
    for metric in (*GAPS, worst_group_accuracy):
        made = measure(metric, bench, metric.configure({"models": ("linear",)}))
        assert not [m.reason for m in made if m.status == "error"]
        floors = [m.floor for m in made if m.field == "change" and m.estimate is not None]
        assert all(floor is not None for floor in floors)


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "gap"), [(2, 0.05), (5, 0.1), (10, 0.0)])
def test_intervals_of_gaps_and_changes_cover(groups: int, gap: float) -> None:
    for name, (covered, width) in simulate(runs=150, groups=groups, gap=gap).items():
        # 150 runs: three standard errors below 95 % are 89.7 %.
        assert covered >= 0.897, name
        assert width < 2.0, name


def test_what_a_release_shows_moves_nothing_into_or_out_of_what_is_decidable() -> None:
    rng = np.random.default_rng(12)
    x = rng.normal(size=(6000, 3))
    labels = np.where(x[:, 0] + 0.7 * rng.normal(size=6000) > 0.3, "yes", "no")
    groups = {"sex": rng.choice(["F", "M"], 6000), "race": rng.choice(["a", "b"], 6000, p=[0.9, 0.1])}

    def asked(labels: np.ndarray) -> dict[Any, Value]:
        made = bench_of(table(x, labels, groups=groups), learning=2000, synthetic_train=2000)
        found = found_by(demographic_parity_difference, replace(made, intersections=2))
        return {g: v for (f, g), v in found.items() if f == "change" and g and g[0][1]}

    faithful = asked(labels)
    broken = labels.copy()
    broken[2000:4000] = np.where(rng.random(2000) < 0.5, "no", labels[2000:4000])
    other = asked(broken)
    assert {g: v.decidable for g, v in faithful.items()} == {g: v.decidable for g, v in other.items()}
    assert {v.decidable for v in faithful.values()} == {True, False}
    assert {g: v.expected for g, v in faithful.items()} == {g: v.expected for g, v in other.items()}
    for value in faithful.values():
        assert value.estimate is not None
        assert value.expected is not None
        # Both say how well such a change is known: one from this release, one from real rows alone.
        assert value.expected.error == pytest.approx((value.estimate.high - value.estimate.low) / 3.92, rel=0.6)
