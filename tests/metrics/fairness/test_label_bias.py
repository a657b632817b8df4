"""Label association against cross tables and Newcombe, bias amplification against its paper; planted flips."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured
from helpers.workbenches import bench

from counterproof.metrics.estimate import normal_quantile
from counterproof.metrics.fairness._label_counts import classes_of, faithful_error, label_counts
from counterproof.metrics.fairness.bias_amplification import bias_amplification
from counterproof.metrics.fairness.label_association import FEWER, LIMIT, label_association
from counterproof.metrics.metric import Metric, Value
from counterproof.metrics.shared.partitions import partition_by
from counterproof.metrics.statistics.proportions import difference_ends, newcombe, wilson, wilson_ends
from counterproof.metrics.workbench import Workbench

Place = tuple[tuple[str, str | None], ...]


def people(n: int, seed: int, *, flip: float = 0.0, of: int = 1) -> pd.DataFrame:
    """Rows of sources of ``of`` rows: each source has one group and one label."""
    rng = np.random.default_rng(seed)
    sources = n // of
    sex, race = rng.choice(["F", "M"], sources, p=[0.4, 0.6]), rng.choice(["a", "b", "c"], sources, p=[0.6, 0.3, 0.1])
    label = rng.random(sources) < np.where(sex == "F", 0.2, 0.35)
    label ^= (sex == "F") & (rng.random(sources) < flip)
    table = pd.DataFrame({"sex": sex, "race": race, "y": np.where(label, "yes", "no")})
    return table.loc[np.repeat(np.arange(sources), of)].reset_index(drop=True)


def held(*parts: pd.DataFrame, clusters: np.ndarray | None = None, **options: Any) -> Workbench:
    table = pd.concat(parts, ignore_index=True)
    groups = {name: table[name].to_numpy(dtype=np.str_) for name in table.columns if name != "y"}
    labels = table["y"].to_numpy(dtype=np.str_)
    rows = [np.zeros((len(part), 1)) for part in parts]
    return bench(*rows, groups=groups, label="y", labels=labels, clusters=clusters, **options)


def values(metric: Metric, view: Workbench) -> dict[tuple[str, Place], Value]:
    return {(v.field, v.group): v for v in metric.values(view, {})}


def whole(metric: Metric, view: Workbench) -> Any:
    found = next(v for v in metric.values(view, {}) if not v.group)
    return found.estimate


def three(seed: int, n: int = 1000, **planted: Any) -> tuple[pd.DataFrame, ...]:
    return people(n, 10 * seed), people(n, 10 * seed + 1), people(n, 10 * seed + 2, **planted)


def test_changes_are_those_of_a_cross_table_with_newcombes_interval() -> None:
    train, holdout, made = three(1)
    view = held(train, holdout, made, intersections=2)
    found = values(label_association, view)
    real = pd.concat([train, holdout])
    counted = 0
    for columns in (["sex"], ["race"], ["sex", "race"]):
        for key, group in real.groupby(columns):
            inside = made[(made[columns] == list(key)).all(axis=1)]
            hits = [int((part["y"] == "yes").sum()) for part in (inside, group)]
            expected = newcombe(hits[0], len(inside), hits[1], len(group))
            value = found["change", (*zip(columns, key, strict=True), ("y", "yes"))]
            e = value.estimate
            assert e is not None
            assert (e.value, e.low, e.high) == pytest.approx((expected.value, expected.low, expected.high), abs=1e-12)
            assert value.n == {"real": len(group), "release": len(inside)}
            counted += 1
    assert len(found) == counted + 1 == 12


def test_of_three_labels_all_are_told_and_they_sum_to_nothing() -> None:
    parts = [people(600, seed) for seed in (1, 2, 3)]
    for part in parts:
        part.loc[np.random.default_rng(len(part)).random(len(part)) < 0.3, "y"] = "maybe"
    found = values(label_association, held(*parts))
    changes = [
        v.estimate.value for (f, place), v in found.items() if f == "change" and place[0] == ("sex", "F") and v.estimate
    ]
    assert len(changes) == 3
    assert sum(changes) == pytest.approx(0, abs=1e-12)


def test_a_fifth_of_flipped_labels_is_found_at_a_thousand_rows_and_fresh_rows_are_not() -> None:
    """Of 400 draws each (tests/simulations/simulate_label_bias.py): found 98 %, false alarms 3 %."""
    draws = range(60)
    alarms = sum(whole(label_association, held(*three(seed), intersections=2)).low > 0 for seed in draws)
    found = sum(whole(label_association, held(*three(seed, flip=0.2), intersections=2)).low > 0 for seed in draws)
    assert alarms <= 5
    assert found >= 54


def test_what_changes_is_named() -> None:
    found = values(label_association, held(*three(3, 3000, flip=0.3)))
    headline = found["worst", ()]
    assert headline.reason == "surest change: sex = F, yes"
    first = headline.evidence[0].rows[0]
    assert first[:2] == ("sex = F", "yes")
    assert first[-1] == pytest.approx(first[5] - first[4])
    assert first[-1] > 0.1


def test_a_balanced_release_that_keeps_labels_within_groups_changes_nothing() -> None:
    train, holdout, made = three(4, 4000)
    women = made[made["sex"] == "F"]
    balanced = pd.concat([women, made[made["sex"] == "M"].iloc[: len(women)]])
    assert whole(label_association, held(train, holdout, balanced)).low == 0


def test_a_decidable_cell_of_a_faithful_release_passes() -> None:
    """The gate of the default policy: every decidable cell inside the limit by its one-sided bound."""
    passed = decided = 0
    for seed in range(60):
        for value in label_association.values(held(*three(seed, 1500)), {}):
            if value.group and value.decidable and value.estimate:
                decided += 1
                e = value.estimate
                passed += max(e.bound("high", 0.95), -e.bound("low", 0.95)) <= LIMIT
    assert decided >= 120
    assert passed >= 0.99 * decided


def test_decidability_does_not_depend_on_the_release() -> None:
    train, holdout, made = three(5, 2000)
    decidable = []
    for release in (made, made.iloc[:40], made[made["sex"] == "F"]):
        found = values(label_association, held(train, holdout, release))
        decidable.append({place for (field, place), v in found.items() if field == "change" and v.decidable})
    assert decidable[0] == decidable[1] == decidable[2]
    assert (("sex", "M"), ("y", "yes")) in decidable[0]
    gone = values(label_association, held(train, holdout, made[made["sex"] == "F"]))
    empty = gone["change", (("sex", "M"), ("y", "yes"))]
    assert (empty.status, empty.decidable) == ("not_assessable", True)


def test_few_rows_of_a_label_or_of_its_complement_are_not_told() -> None:
    parts = list(three(6, 500))
    for at, part in enumerate(parts):
        part.loc[part.index[:40], "race"] = "rare"
        part.loc[part.index[:40], "y"] = "no"
        part.loc[part.index[: 2 + at], "y"] = "yes"
        part.loc[part.index[40:80], "race"] = "other"
        part.loc[part.index[40:80], "y"] = "yes"
        part.loc[part.index[40:42], "y"] = "no"
    found = values(label_association, held(*parts))
    for race in ("rare", "other"):
        value = found["change", (("race", race), ("y", "yes"))]
        assert value.estimate is None
        assert value.reason.startswith("too few rows: fewer than 10 real rows")
        assert not value.decidable
    told = [str(row[0]) for row in found["worst", ()].evidence[0].rows]
    assert not any("rare" in name or "other" in name for name in told)
    drawn = found["worst", ()].panels[1].data
    (rare,) = [group for group in drawn["groups"] if group["name"] == "rare"]
    assert rare["real_labels"] == [None, None]
    assert rare["real"] is not None
    shown = values(label_association, held(*parts, show_real=True))
    assert shown["change", (("race", "rare"), ("y", "yes"))].estimate is not None


def test_rows_of_one_source_are_not_independent() -> None:
    """Ten equal rows of each source are worth one: the interval is that of the sources."""
    parts = [people(2000, seed, of=10) for seed in (1, 2, 3)]
    clusters = np.arange(6000) // 10
    view = held(*parts, clusters=clusters)
    part = partition_by(view, ("sex",))
    counts = label_counts(view, part, view.real)
    n = counts.rows / 10
    assert counts.worth[:, 0] == pytest.approx(n, rel=0.02)
    e = values(label_association, view)["change", (("sex", "F"), ("y", "yes"))].estimate
    plain = values(label_association, held(*parts))["change", (("sex", "F"), ("y", "yes"))].estimate
    assert e is not None
    assert plain is not None
    assert (e.high - e.low) / (plain.high - plain.low) == pytest.approx(math.sqrt(10), rel=0.1)


def test_sources_that_all_agree_are_worth_their_number() -> None:
    parts = [people(300, seed, of=3) for seed in (1, 2, 3)]
    for part in parts:
        part.loc[part["sex"] == "F", "y"] = "no"
    view = held(*parts, clusters=np.arange(900) // 3, small_cell=1)
    counts = label_counts(view, partition_by(view, ("sex",)), view.release)
    at = 0
    assert counts.worth[at, 0] == pytest.approx(counts.rows[at] / 3)
    assert classes_of(view).names == ("yes", "no")


def test_the_floor_is_what_real_rows_show_of_each_other() -> None:
    frames = dict(zip(("train", "holdout", "synthetic"), three(7), strict=True))
    for seed, frame in enumerate(frames.values()):
        frame["x"] = np.random.default_rng(seed).normal(size=len(frame))
    found = measured(label_association, desk(label="y", groups=["sex", "race"], sources=frames))
    women = found["change", (("sex", "F"), ("y", "yes"))]
    assert women.floor is not None
    expected = math.sqrt(0.2 * 0.8 * 2 / 400)
    assert women.floor.spread == pytest.approx(expected, rel=0.5)
    assert abs(women.floor.value) < 3 * expected / math.sqrt(20)
    assert found["excess", ()].estimate is not None


def test_what_cannot_be_asked_does_not_apply() -> None:
    one_label = held(*(part.assign(y="no") for part in three(8, 100)))
    roles = zip(("train", "holdout", "synthetic"), three(8, 100), strict=True)
    only_label = desk(label="y", groups=["y"], sources=dict(roles))
    told = {"the real rows hold fewer than two labels": one_label, "the label is the only group column": only_label}
    for reason, view in told.items():
        for metric in (label_association, bias_amplification):
            (value,) = metric.values(view, {})
            assert (value.status, value.reason) == ("not_applicable", reason)


def test_groups_of_thousands_of_values_are_too_few_to_say() -> None:
    parts = [part.assign(sex=[f"id {at} {i}" for i in range(len(part))]) for at, part in enumerate(three(9, 200))]
    found = [v for v in label_association.values(held(*(p[["sex", "y"]] for p in parts)), {}) if not v.group]
    assert found[0].status == "not_assessable"
    assert found[0].reason.startswith("too few rows")


# -- bias amplification -----------------------------------------------------------------------------


def counted(pairs: dict[tuple[str, str], int]) -> pd.DataFrame:
    """Rows of (label, group) counts."""
    rows = [(label, group) for (label, group), n in pairs.items() for _ in range(n)]
    return pd.DataFrame(rows, columns=["y", "sex"])


def test_the_papers_example_is_reproduced() -> None:
    """Cooking is 67 % women in training and 84 % in predictions: amplified by 0.17 (Zhao et al. 2017, figure 1)."""
    half = counted({("cooking", "F"): 33, ("cooking", "M"): 17, ("driving", "F"): 20, ("driving", "M"): 30})
    other = counted({("cooking", "F"): 34, ("cooking", "M"): 16, ("driving", "F"): 20, ("driving", "M"): 30})
    made = counted({("cooking", "F"): 84, ("cooking", "M"): 16, ("driving", "F"): 30, ("driving", "M"): 70})
    found = values(bias_amplification, held(half, other, made))
    value = found["value", (("sex", None),)]
    e = value.estimate
    assert e is not None
    assert e.value == pytest.approx(((0.84 - 0.67) + (0.7 - 0.6)) / 2)
    shares = [(68, 102, 85, 102), (61, 102, 71, 102)]
    variance = sum(p * (1 - p) / 102 for a, n, b, m in shares for p in (a / n, b / m)) / 4
    assert (e.high - e.low) / 2 / 1.959964 == pytest.approx(math.sqrt(variance))
    rows = found["value", ()].evidence[0].rows
    assert rows[0] == ("cooking", "sex = F", pytest.approx(0.67), pytest.approx(0.84), pytest.approx(0.17))


def test_balance_is_below_nothing_and_more_of_the_same_above() -> None:
    real = counted({("a", "F"): 80, ("a", "M"): 20, ("b", "F"): 20, ("b", "M"): 80})
    fair = counted({("a", "F"): 50, ("a", "M"): 50, ("b", "F"): 50, ("b", "M"): 50})
    steep = counted({("a", "F"): 95, ("a", "M"): 5, ("b", "F"): 5, ("b", "M"): 95})
    assert whole(bias_amplification, held(real, real, fair)).high < 0
    assert whole(bias_amplification, held(real, real, steep)).low > 0
    assert whole(bias_amplification, held(real, real, real)).value == 0


def test_fresh_rows_amplify_nothing() -> None:
    """400 draws: the interval of one column excludes 0 in 5.5 %, the worst of three lies above 0 in 1.5 %."""
    above = sum(whole(bias_amplification, held(*three(seed), intersections=2)).low > 0 for seed in range(60))
    assert above <= 4


def test_sources_widen_the_interval() -> None:
    parts = [people(2000, seed, of=10) for seed in (1, 2, 3)]
    wide, plain = (whole(bias_amplification, held(*parts, clusters=c)) for c in (np.arange(6000) // 10, None))
    assert (wide.high - wide.low) / (plain.high - plain.low) > 2


def test_one_source_knows_nothing_of_others() -> None:
    parts = [people(200, seed) for seed in (1, 2, 3)]
    e = whole(bias_amplification, held(*parts, clusters=np.repeat([0, 0, 1], 200)))
    assert e.high - e.low > 1.9


def test_wilson_of_whole_rows_is_wilson_of_worth() -> None:
    view = held(*three(2, 400))
    part = partition_by(view, ("sex",))
    counts = label_counts(view, part, view.real)
    low, high = wilson_ends(counts.hits[:, 0], counts.worth[:, 0], 1.959963984540054)
    for g in range(len(part)):
        expected = wilson(int(counts.hits[g, 0]), int(counts.rows[g]))
        assert (low[g], high[g]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("share", [0.01, 0.03, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("rows", [30, 150, 750])
def test_a_faithful_release_passes_at_least_as_often_as_is_reckoned(share: float, rows: int) -> None:
    """Rare labels of small groups have skewed intervals: an error at no change promised .97 where .32 passed."""
    limit, draws, level = 0.1, 20_000, 0.95
    rng = np.random.default_rng([rows, round(1000 * share)])
    before = np.array([float(rows)])
    after = np.maximum(before - FEWER * np.sqrt(before), 0.5)
    shares = np.array([share])
    error = float(faithful_error(shares, before, after, limit, level)[0])
    spread = float(np.sqrt(share * (1 - share) * (1 / before + 1 / after))[0])
    reckoned = max(0.0, 2 * NormalDist().cdf((limit - normal_quantile(0.95) * error) / spread) - 1)
    real = rng.binomial(rows, share, draws)
    sizes = np.maximum(rng.poisson(rows, draws), 1)
    released = rng.binomial(sizes, share)
    z = normal_quantile(0.975)
    ends = (
        *wilson_ends(released, sizes, z),
        real / rows,
        *wilson_ends(real, np.full(draws, rows), z),
    )
    change = released / sizes - real / rows
    low, high = difference_ends(released / sizes, *ends)
    scale = normal_quantile(0.95) / z
    passed = np.mean((change + scale * (high - change) <= limit) & (change - scale * (change - low) >= -limit))
    assert reckoned <= passed + 0.005
    assert passed < 0.9 or reckoned > passed - 0.12  # and not so much too cautious that decidable cells are lost
