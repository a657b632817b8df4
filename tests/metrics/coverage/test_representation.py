"""Cells against cross tables and written-out formulas; which of them can be decided; planted gaps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, three
from helpers.workbenches import bench
from numpy.testing import assert_allclose
from scipy.stats import binom, norm

import counterproof as cp
from counterproof.metrics.coverage._shares.shares import Cell
from counterproof.metrics.coverage.representation import representation
from counterproof.metrics.metric import Value
from counterproof.metrics.statistics.decidability import pass_probability
from counterproof.reports.record import Record

Frames = dict[str, pd.DataFrame]
Place = tuple[tuple[str, str | None], ...]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def people(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sex, race = rng.choice(["F", "M"], n), rng.choice(["a", "b", "c", None], n, p=[0.5, 0.3, 0.18, 0.02])
    income = np.where(rng.random(n) < np.where(sex == "F", 0.35, 0.5), ">50K", "<=50K")
    return pd.DataFrame({"age": rng.normal(40, 9, n), "sex": sex, "race": race, "income": income})


def values(frames: Frames, **run: Any) -> dict[Place, Value]:
    at = desk(sources=frames, label="income", groups=["sex", "race"], **run)
    return {v.group: v for v in representation.values(at, {})}


def audited(frames: Frames, **run: Any) -> Record:
    return cp.audit(**frames, label="income", groups=["sex", "race"], metrics=["coverage.representation"], **run)


def cell(real: int, n_real: int, made: int = 0, n_made: int = 5000) -> Cell:
    return Cell(group=(("g", "x"),), real=real, made=made, n_real=n_real, n_made=n_made)


@pytest.mark.parametrize("columns", [("sex",), ("race",), ("income",), ("sex", "race"), ("race", "income")])
def test_cells_are_those_of_a_cross_table(columns: tuple[str, ...]) -> None:
    frames = three(people, 500, 1)
    frames["synthetic"] = frames["synthetic"].iloc[:333]
    found = values(frames, small_cell=1)
    real = pd.concat([frames["train"], frames["holdout"]]).fillna("(missing)")
    made = frames["synthetic"].fillna("(missing)")
    keys = [list(f[c]) for c in columns for f in (real,)]
    counts = pd.crosstab(keys[0], keys[1]).stack() if len(columns) == 2 else pd.Series(keys[0]).value_counts()
    inside = {place: v for place, v in found.items() if tuple(c for c, _ in place) == columns}
    assert len(inside) == (counts > 0).sum()
    for place, value in inside.items():
        names = tuple(name for _, name in place)
        k_real = int(counts[names if len(names) == 2 else names[0]])
        k_made = int(np.logical_and.reduce([made[c] == v for c, v in place]).sum())
        assert value.estimate is not None
        assert value.n == {"real": k_real, "release": 333}
        assert value.estimate.value == pytest.approx((k_made / 333) / (k_real / 1000))


def test_the_interval_is_that_of_the_log_ratio() -> None:
    found = cell(900, 10_000, 380, 5000).estimate(0.95)
    error = math.sqrt(1 / 380.5 - 1 / 5001 + 1 / 900.5 - 1 / 10_001)
    ends = [math.log(380 / 5000 / (900 / 10_000)) + sign * norm.ppf(0.975) * error for sign in (-1, 1)]
    assert_allclose([math.log(found.low), math.log(found.high)], ends, rtol=1e-12)
    assert found.scale == "log"


def test_the_interval_covers_the_true_ratio() -> None:
    rng = np.random.default_rng(0)
    real, made = rng.binomial(4000, 0.1, 2000), rng.binomial(2000, 0.08, 2000)
    found = [cell(int(r), 4000, int(m), 2000).estimate(0.95) for r, m in zip(real, made, strict=True)]
    assert 0.935 <= np.mean([e.low <= 0.8 <= e.high for e in found]) <= 0.965


def test_an_empty_cell_has_the_poisson_bound() -> None:
    found = cell(50, 10_000, 0, 5000).estimate(0.95)
    expected = 25
    assert (found.value, found.low) == (0.0, 0.0)
    assert math.exp(-found.high * expected) == pytest.approx(0.025)


def test_a_cell_passes_as_often_as_is_said() -> None:
    rng = np.random.default_rng(1)
    for share in (0.03, 0.06, 0.107):
        real, made = rng.binomial(10_000, share, 4000), rng.binomial(5000, share, 4000)
        both = [cell(int(r), 10_000, int(m)) for r, m in zip(real, made, strict=True)]
        passed = np.mean([one.estimate(0.95).bound("low", 0.95) >= 0.8 for one in both])
        assert float(pass_probability(-math.log(0.8), both[0].faithful_error(0.5))) == pytest.approx(passed, abs=0.04)


def test_all_decidable_cells_of_fresh_rows_pass_together() -> None:
    """40 cells of 6 crossed groups: whether one or a hundred are decidable, all pass in 97 of 100 releases."""
    passed, decided = [], []
    for seed in range(20):
        found = values(three(people, 1500, 100 + seed))
        told = [v.estimate for place, v in found.items() if place and v.decidable]
        assert None not in told
        decided.append(len(told))
        passed.append(all(e is not None and e.bound("low", 0.95) >= 0.8 for e in told))
    assert min(decided) >= 3
    assert sum(passed) >= 19


def test_decidability_does_not_depend_on_the_release() -> None:
    frames = three(people, 1500, 2)
    whole = values(frames)
    small = values(frames | {"synthetic": frames["synthetic"].iloc[:60]})
    other = values(frames | {"synthetic": frames["synthetic"][frames["synthetic"]["sex"] == "F"]})
    decided = {place for place, v in whole.items() if place and v.decidable}
    assert decided
    assert decided < set(whole) - {()}
    for found in (small, other):
        assert {place for place, v in found.items() if place and v.decidable} == decided


def test_a_small_release_is_inconclusive_not_passed() -> None:
    frames = three(people, 1500, 2)
    assert audited(frames).verdict == "pass"
    assert audited(frames | {"synthetic": frames["synthetic"].iloc[:60]}).verdict == "inconclusive"


def test_cells_too_small_to_decide_may_block() -> None:
    frames = three(people, 1500, 2)
    allowed = audited(frames).gates[0]
    assert {tuple(c.group.items()) for c in allowed.too_few} >= {(("race", "(missing)"),)}
    assert audited(frames, undecided="block").verdict == "inconclusive"


def test_an_empty_cell_alarms_only_beyond_chance() -> None:
    frames = three(people, 300, 3)
    for role, count in (("train", 3), ("holdout", 0)):
        frames[role]["race"] = frames[role]["race"].fillna("a")
        frames[role].loc[: count - 1, "race"] = "rare"
    frames["synthetic"]["race"] = frames["synthetic"]["race"].fillna("a")
    found = values(frames, show_real=True)
    rare = found[(("race", "rare"),)]
    assert rare.estimate is not None
    assert rare.estimate.value == 0
    assert rare.alarm == ""  # (597/600)^300 = 0.22
    frames["train"].loc[:39, "race"] = "rare"
    cells = len(values(frames)) - 1
    assert binom.pmf(0, 300, 40 / 600) < 0.001 / cells
    assert values(frames)[(("race", "rare"),)].alarm == (
        "No row with race = rare; a faithful release of 300 rows would have about 20"
    )


def test_fresh_rows_leave_no_alarm() -> None:
    for seed in range(20):
        assert not any(v.alarm for v in values(three(people, 200, 50 + seed)).values())


def test_a_missing_group_value_is_a_group() -> None:
    frames = three(people, 1000, 4)
    frames["synthetic"]["race"] = frames["synthetic"]["race"].fillna("a")
    found = values(frames)[(("race", "(missing)"),)]
    assert found.estimate is not None
    assert found.estimate.value == 0
    assert "race = (missing)" in found.alarm
    assert audited(frames).verdict == "fail"


def test_a_combination_emptied_behind_kept_margins_fails() -> None:
    frames = three(people, 2000, 5)
    made = frames["synthetic"]
    swap = made.index[(made["race"] == "c") & (made["income"] == ">50K")]
    give = made.index[(made["race"] != "c") & (made["income"] == "<=50K")][: len(swap)]
    made.loc[swap, "income"], made.loc[give, "income"] = "<=50K", ">50K"
    found = values(frames)
    for margin in ((("race", "c"),), (("income", ">50K"),)):
        assert found[margin].alarm == ""
        assert found[margin].estimate is not None
        assert found[margin].estimate.low > 0.8  # type: ignore[union-attr]
    gone = found[(("race", "c"), ("income", ">50K"))]
    assert gone.alarm.startswith("No row with race = c, income = >50K; ")
    record = audited(frames)
    assert record.verdict == "fail"
    failing = [c.group for c in record.gates[0].cells if c.verdict == "fail"]
    assert failing == [{"race": "c", "income": ">50K"}]


def test_a_group_thinned_by_four_fifths_fails_and_is_named() -> None:
    frames = three(people, 2000, 6)
    rng = np.random.default_rng(0)
    made = frames["synthetic"]
    thin = made.index[(made["race"] == "c") & (rng.random(len(made)) < 0.8)]
    made.loc[thin, "race"] = "a"
    record = audited(frames)
    assert record.verdict == "fail"
    worst = record.gates[0].cells[0]
    assert worst.verdict == "fail"
    assert worst.group["race"] == "c"
    assert record["coverage.representation[race=c]"].value == pytest.approx(0.2, abs=0.06)


def test_without_label_and_groups_there_is_nothing_to_ask() -> None:
    (only,) = representation.values(desk(sources=three(people, 100, 7)), {})
    assert (only.status, only.estimate) == ("not_applicable", None)
    record = cp.audit(**three(people, 100, 7), metrics=["coverage.representation"])
    assert record.verdict != "fail"


def test_the_heat_map_hides_small_real_cells() -> None:
    frames = three(people, 700, 8)
    headline = values(frames, small_cell=20)[()]
    assert [panel.kind for panel in headline.panels] == ["cells", "cells"]
    cells = [c for panel in headline.panels for c in panel.data["cells"]]
    assert any(c["n_real"] is None for c in cells)
    for drawn in cells:
        assert drawn["n_real"] is None or drawn["n_real"] >= 20
        if drawn["n_real"] is None:
            assert (drawn["value"], drawn["low"], drawn["high"], drawn["state"]) == (None, None, None, "too few")


def test_the_heat_map_is_drawn_where_nothing_can_be_decided() -> None:
    headline = values(three(people, 200, 8))[()]
    assert headline.status == "not_assessable"
    assert {c["state"] for panel in headline.panels for c in panel.data["cells"]} == {"too few"}


def test_crossings_go_as_far_as_was_asked_for() -> None:
    frames = three(people, 1500, 12)
    for frame in frames.values():
        frame["old"] = np.where(frame["age"] > 40, "yes", "no")
    found = {}
    for order in (1, 2, 3, 4):
        at = desk(sources=frames, label="income", groups=["sex", "race", "old"], intersections=order)
        found[order] = {v.group: v for v in representation.values(at, {})}
    assert max(map(len, found[1])) == 2
    assert list(found[1]) == list(found[2])
    assert [max(map(len, found[order])) for order in (3, 4)] == [3, 4]
    place = (("sex", "F"), ("race", "b"), ("income", ">50K"))
    real = pd.concat([frames["train"], frames["holdout"]])
    shares = [np.logical_and.reduce([f[c] == v for c, v in place]).mean() for f in (frames["synthetic"], real)]
    assert found[3][place].estimate is not None
    assert found[3][place].estimate.value == pytest.approx(shares[0] / shares[1])  # type: ignore[union-attr]


def test_a_column_of_ten_thousand_values_is_crossed_with_none() -> None:
    rng = np.random.default_rng(13)
    n = 8000
    table = {"zip": rng.integers(0, 10_000, 3 * n).astype(str), "sex": rng.choice(["F", "M"], 3 * n)}
    x = np.zeros((n, 1))
    found = {v.group: v for v in representation.values(bench(x, x, x, groups=table), {})}
    assert {tuple(c for c, _ in place) for place in found} == {(), ("zip",), ("sex",)}
    assert not any(v.decidable for place, v in found.items() if place and place[0][0] == "zip")
    assert found[()].status == "measured"


def test_intervals_of_clustered_rows_cover_and_those_of_single_rows_would_not() -> None:
    rng = np.random.default_rng(14)
    n, size = 1200, 10
    x, covered, narrow = np.zeros((n, 1)), [], []
    for _ in range(150):
        sex = np.repeat(rng.choice(["F", "M"], 3 * n // size, p=[0.3, 0.7]), size)  # one person, many rows
        for clusters, told in ((np.arange(3 * n) // size, covered), (None, narrow)):
            at = bench(x, x, x, groups={"sex": sex}, clusters=clusters)
            e = next(v.estimate for v in representation.values(at, {}) if v.group == (("sex", "F"),))
            assert e is not None
            told.append(e.low <= 1 <= e.high)
    assert np.mean(covered) >= 0.92
    assert np.mean(narrow) < 0.7


@pytest.mark.parametrize("flaw", ["thinned", "emptied", "removed"])
def test_planted_flaws_are_found_at_a_thousand_rows(flaw: str) -> None:
    hits = 0
    for seed in range(20):
        found = _drawn_cells(flaw, seed)
        level = 1 - 0.05 / len(found)
        place: Place = (("race", "d"),) if flaw == "removed" else (("race", "c"),)
        place = (*place, ("income", "high")) if flaw == "emptied" else place
        e = found[place].estimate
        assert e is not None
        hits += bool(found[place].alarm) or e.bound("high", level) < 0.8
    assert hits >= 19  # 500 draws, and fresh rows: tests/simulations/simulate_who_is_there.py


def _drawn_cells(flaw: str, seed: int) -> dict[Place, Value]:
    rng, n = np.random.default_rng([15, seed]), 1000
    race = rng.choice(list("abcd"), 3 * n, p=[0.5, 0.35, 0.1, 0.05])
    income = rng.choice(["low", "high"], 3 * n)
    made = np.arange(3 * n) >= 2 * n
    if flaw == "thinned":
        race[made & (race == "c") & (rng.random(3 * n) < 0.8)] = "a"
    elif flaw == "removed":
        race[made & (race == "d")] = "a"
    else:
        out = np.flatnonzero(made & (race == "c") & (income == "high"))
        income[np.flatnonzero(made & (race != "c") & (income == "low"))[: len(out)]] = "high"
        income[out] = "low"
    x = np.zeros((n, 1))
    at = bench(x, x, x, groups={"race": race}, label="income", labels=income)
    return {v.group: v for v in representation.values(at, {})}


def test_odd_names_pass_through_untouched() -> None:
    frames = three(people, 400, 9)
    odd = '<b onclick="x">,=\n[]'
    for frame in frames.values():
        frame["race"] = frame["race"].replace("a", odd)
    assert values(frames)[(("race", odd),)].estimate is not None


def test_a_cell_that_fills_the_real_rows_is_not_known_for_certain() -> None:
    cell = Cell(group=(("sex", "F"),), real=3, made=2, n_real=3, n_made=3)
    found = cell.estimate(0.95)
    assert found.low < 0.8 < found.high
    assert float(pass_probability(-math.log(0.8), cell.faithful_error(1.0))) < 0.9


def test_of_a_cell_of_few_real_rows_nothing_is_told() -> None:
    frames = three(people, 1500, 10)
    frames["train"].loc[:4, "race"] = "rare"
    place = (("race", "rare"),)
    hidden = values(frames)[place]
    assert (hidden.estimate, hidden.decidable, dict(hidden.n)) == (None, False, {})
    assert hidden.reason == "fewer than 10 real rows"
    assert values(frames, show_real=True)[place].n["real"] == 5
    assert values(frames, small_cell=5)[place].n["real"] == 5
    record = audited(frames, policy="standard")
    assert record.verdict == "pass"
    assert {"race": "(rare values)"} in [c.group for c in record.gates[0].too_few]
    assert audited(frames, undecided="block").verdict == "inconclusive"
    named = audited(frames, policy="none", gates=['coverage.representation[race="(rare values)"] >= 0.8'])
    assert named.verdict == "inconclusive"
    assert not record.not_assessed
    for reading in record.measurements:
        if reading.group.get("race") == "(rare values)":
            assert (reading.value, reading.floor) == (None, None)
            assert min(reading.n.values()) == 1500


def test_a_hidden_cell_that_the_release_empties_beyond_chance_fails_without_its_count() -> None:
    frames = three(people, 300, 11)
    frames["train"].loc[:8, "race"] = "rare"
    frames["synthetic"] = people(6000, 12)
    alarm = values(frames)[(("race", "rare"),)].alarm
    assert alarm == "No row with race = rare; a faithful release would surely have some"
    assert audited(frames).verdict == "fail"


def test_groups_that_cannot_be_decided_are_inconclusive_and_labels_alone_are_too_few_to_say() -> None:
    frames = three(people, 200, 8)
    record = audited(frames)
    assert record["coverage.representation"].status == "not_assessable"
    assert (record.verdict, record.gates[0].verdict) == ("inconclusive", "inconclusive")
    alone = cp.audit(**frames, label="income", metrics=["coverage.representation", "fidelity.precision"])
    assert alone["coverage.representation"].status == "not_applicable"
    assert [g.verdict for g in alone.gates if g.metric == "coverage.representation"] == ["undecided"]
