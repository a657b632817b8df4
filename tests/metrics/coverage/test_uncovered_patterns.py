"""What the metric counts, lists and alarms of: planted gaps, fresh rows, small cells, odd columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured, three
from helpers.workbenches import bench

import counterproof as cp
from counterproof.metrics.coverage.uncovered_patterns import uncovered
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.metric import Value
from counterproof.metrics.workbench import Workbench

GROUPS = ["sex", "race"]
RACES = ["a", "b", "c", "d"]
Frames = dict[str, pd.DataFrame]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def people(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sex, race = rng.choice(["F", "M"], n), rng.choice(RACES, n, p=[0.5, 0.35, 0.1, 0.05])
    income = np.where(rng.random(n) < np.where(sex == "F", 0.4, 0.5), ">50K", "<=50K")
    return pd.DataFrame({"age": rng.normal(40, 9, n), "sex": sex, "race": race, "income": income})


def view(frames: Frames, groups: list[str] = GROUPS, label: str | None = "income", **run: Any) -> Workbench:
    return desk(sources=frames, label=label, groups=groups, **run)


def quick(frames: Frames) -> Workbench:
    """The same bench without the intake: many draws."""
    table = pd.concat([frames[role] for role in ("train", "holdout", "synthetic")])
    columns = {name: table[name].to_numpy(dtype=np.str_) for name in (*GROUPS, "income")}
    x = np.zeros((len(table) // 3, 1))
    return bench(x, x, x, labels=columns.pop("income"), label="income", groups=columns)


def values(at: Workbench, **options: Any) -> dict[str, Value]:
    return {v.field: v for v in uncovered.values(at, uncovered.configure(options))}


def estimate(value: Value) -> Estimate:
    assert value.estimate is not None
    return value.estimate


def listed(value: Value, start: str) -> Evidence:
    return next(e for e in value.evidence if e.title.startswith(start))


def thinned(frames: Frames, seed: int = 0) -> Frames:
    made = frames["synthetic"].copy()
    gone = (made["race"] == "c") & (np.random.default_rng(seed).random(len(made)) < 0.8)
    made.loc[gone, "race"] = "a"
    return frames | {"synthetic": made}


def emptied(frames: Frames) -> Frames:
    """No rich row of one group, with both margins kept."""
    made = frames["synthetic"].copy()
    out = made.index[(made["race"] == "c") & (made["income"] == ">50K")]
    give = made.index[(made["race"] != "c") & (made["income"] == "<=50K")][: len(out)]
    made.loc[out, "income"], made.loc[give, "income"] = "<=50K", ">50K"
    return frames | {"synthetic": made}


def removed(frames: Frames) -> Frames:
    made = frames["synthetic"].copy()
    made.loc[made["race"] == "d", "race"] = "a"
    return frames | {"synthetic": made}


@pytest.mark.parametrize(
    ("flaw", "name"), [(thinned, "race = c"), (emptied, "race = c, income = >50K"), (removed, "race = d")]
)
def test_planted_gaps_are_found_at_a_thousand_rows_and_named_first(flaw: Any, name: str) -> None:
    hits = 0
    for seed in range(20):
        found = values(quick(flaw(three(people, 1000, seed))))["value"]
        first = listed(found, "What to collect").rows[0]
        hits += (
            first[1] == name
            and first[5] == "beyond chance"
            and f" with {name}; a faithful release would have about " in found.alarm
        )
    assert hits >= 19  # 500 draws each: tests/simulations/simulate_who_is_there.py


def test_fresh_rows_set_off_no_alarm() -> None:
    found = [values(quick(three(people, 1000, 100 + seed)))["value"] for seed in range(40)]
    assert not any(value.alarm for value in found)
    assert sum(estimate(value).low > 0 for value in found) <= 2


def test_counts_are_those_of_a_cross_table() -> None:
    frames = thinned(three(people, 1000, 1))
    first = listed(values(view(frames))["value"], "What to collect").rows[0]
    made = int((frames["synthetic"]["race"] == "c").sum())
    real = int(sum((frames[role]["race"] == "c").sum() for role in ("train", "holdout")))
    assert first == (30 - made, "race = c", made, real, round(real / 2, 1), "beyond chance")


def test_the_interval_runs_from_the_sure_to_the_possible() -> None:
    for seed in range(6):
        found = values(view(thinned(three(people, 1000, seed)), groups=["sex", "race", "age"]))
        beyond = int(estimate(found["value"]).low)
        assert found["value"].reason == f"{beyond} of them beyond chance"
        for field in ("value", "rows"):
            e = estimate(found[field])
            assert 0 < e.low <= e.value <= e.high
        assert estimate(found["maximal"]).value >= estimate(found["value"]).high


def test_the_plan_leaves_nothing_uncovered_that_real_rows_cover() -> None:
    frames = emptied(three(people, 1000, 2))
    found = values(view(frames))["rows"]
    plan = listed(found, f"{estimate(found).value:.0f} rows leave")
    new = []
    for rows, text in plan.rows:
        given = dict(part.split(" = ", 1) for part in text.split(", "))
        new += [{"age": 40.0, "sex": "F", "race": "a", "income": "<=50K"} | given] * rows
    assert len(new) == estimate(found).value
    mended = frames | {"synthetic": pd.concat([frames["synthetic"], pd.DataFrame(new)], ignore_index=True)}
    before = {row[1] for row in listed(values(view(frames))["value"], "What to collect").rows}
    after = values(view(mended))["value"]
    left = {row[1] for e in after.evidence if e.title.startswith("What") for row in e.rows}
    assert before
    assert not before & left


def test_a_combination_that_real_rows_lack_is_no_fault_of_the_release() -> None:
    frames = three(people, 1000, 3)
    for frame in frames.values():
        frame.loc[frame["race"] == "d", "sex"] = "F"
    found = values(view(frames))["value"]
    natural = listed(found, "Uncovered, as in real data")
    assert ("sex = M, race = d", 0, 0) in natural.rows
    assert not found.alarm
    assert all(row[1] != "sex = M, race = d" for e in found.evidence if e.title.startswith("What") for row in e.rows)


def test_real_counts_below_the_smallest_cell_are_not_told() -> None:
    frames = three(people, 400, 4)
    rng = np.random.default_rng(0)
    for role, n in (("train", 3), ("holdout", 3), ("synthetic", 2)):
        at = rng.permutation(np.flatnonzero(frames[role]["race"] == "a"))[:n]
        frames[role].loc[at, ["sex", "race"]] = ["F", "rare"]
        frames[role].loc[frames[role].index[-20:], ["sex", "race"]] = ["M", "rare"]
    pattern = "sex = F, race = rare"
    small = listed(values(view(frames), threshold=5)["value"], "Uncovered, as in real data")
    assert (pattern, 2, "too few rows: fewer than 10") in small.rows
    shown = listed(values(view(frames, show_real=True), threshold=5)["value"], "Uncovered, as in real data")
    assert (pattern, 2, 6) in shown.rows
    made = people(12_000, 5)  # six real rows are 90 of this release
    made.loc[:800, ["sex", "race"]] = ["M", "rare"]
    large = frames | {"synthetic": made}
    told = values(view(large))["value"]
    row = next(row for row in listed(told, "What to collect").rows if row[1] == pattern)
    assert row == (30, pattern, 0, None, None, "too few rows: fewer than 10 real rows")
    assert told.alarm == f"No row with {pattern}; a faithful release would have at least 30"


def test_the_threshold_is_an_option_and_at_least_the_smallest_cell() -> None:
    frames = three(people, 1000, 6)
    few, many = (estimate(values(view(frames), threshold=t)["maximal"]).value for t in (5, 100))
    assert few < many
    title = values(view(thinned(frames), small_cell=40))["value"].evidence[0].title
    assert "fewer than 40 rows" in title


def test_a_re_split_keeps_the_share_that_covers() -> None:
    frames = three(people, 1000, 7)
    frames["synthetic"] = people(8000, 77)
    found = measured(uncovered, view(frames))
    floor = found["value", ()].floor
    assert floor is not None
    assert floor.draws == 20
    assert found["rows", ()].floor is None
    # 30 of 8,000 rows are 4 of 1,000: the re-splits lack next to nothing.
    assert floor.value <= 2


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = (repr(values(view(emptied(three(people, 600, 8))))) for _ in range(2))
    assert first == second


# -- columns ------------------------------------------------------------------------------------


def test_columns_of_the_table_are_cut_into_fifths_and_pooled() -> None:
    frames = three(people, 1000, 9)
    for at, frame in enumerate(frames.values()):
        frame["town"] = [f"t{i}" if i < 3 and at < 2 else "t" for i in range(len(frame))]
    frames["synthetic"] = frames["synthetic"][frames["synthetic"]["age"] < 45].reset_index(drop=True)
    frames["synthetic"] = pd.concat([frames["synthetic"]] * 2)[:1000].reset_index(drop=True)
    found = values(view(frames, groups=[], label=None), columns=("age", "town", "sex"))["value"]
    first = listed(found, "What to collect").rows[0]
    assert first[1].startswith("age > ")
    assert found.alarm.startswith("No row with age > ")
    texts = {row[at] for e in found.evidence for row in e.rows for at in (0, 1)}
    assert not any("t0" in str(text) for text in texts)


def test_numbers_that_mostly_take_their_largest_value_are_cut_below_it() -> None:
    frames = three(people, 500, 10)
    for at, frame in enumerate(frames.values()):
        frame["score"] = np.where(np.arange(500) < 90, np.arange(500) + at / 7, 999.0)
    found = values(view(frames, groups=[], label=None), columns=("score", "sex"))
    assert found["value"].status == "measured"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"columns": ("sez",)}, "option columns: there is no column 'sez'; did you mean sex?"),
        ({"columns": ("note",)}, "option columns: 'note' (text) is no category and no number; give it as a group"),
        (
            {"threshold": 0},
            "option threshold = 0: Input should be greater than or equal to 1",
        ),
        ({"order": 0}, "option order = 0: Input should be greater than or equal to 1"),
    ],
)
def test_options_that_make_no_sense_are_one_sentence(options: dict[str, Any], told: str) -> None:
    frames = three(people, 300, 11)
    for frame in frames.values():
        frame["note"] = [f"so it was said on day {i} that {i * 7919 % 613} came and went" for i in range(len(frame))]
    with pytest.raises(MetricError) as caught:
        values(view(frames), **options)
    assert str(caught.value).endswith(told)


def test_a_column_of_ten_thousand_values_is_left_out_and_told() -> None:
    rng = np.random.default_rng(12)
    n = 12_000
    table = {"zip": rng.integers(0, 10_000, 3 * n).astype(str), "sex": rng.choice(["F", "M"], 3 * n)}
    x = np.zeros((n, 1))
    found = values(bench(x, x, x, groups=table))["value"]
    real = len(np.unique(table["zip"][: 2 * n]))
    assert found.reason.endswith(f"zip has {real} values and was left out: join some")
    assert found.status == "measured"
    alone = values(bench(x, x, x, groups={"zip": table["zip"]}))["value"]
    assert (alone.status, alone.estimate) == ("not_assessable", None)


def test_more_patterns_than_the_bound_are_refused_in_one_sentence() -> None:
    rng = np.random.default_rng(13)
    table = {f"g{i}": rng.choice(["x", "y"], 900) for i in range(15)}
    x = np.zeros((300, 1))
    found = values(bench(x, x, x, groups=table), order=15)["value"]
    assert found.status == "not_assessable"
    assert found.reason == (
        "15 columns make 14,348,907 patterns, more than the 4,194,304 that are searched: "
        "name fewer columns, or set an order below their number"
    )
    assert values(bench(x, x, x, groups=table))["value"].status == "measured"


def test_missing_values_three_classes_and_groups_without_one_label_are_patterns_like_others() -> None:
    frames = three(people, 1000, 14)
    for frame in frames.values():
        frame.loc[frame["race"] == "c", "race"] = None
        frame["income"] = np.where(frame["age"] > 45, "top", frame["income"])
        frame.loc[frame["race"] == "d", "income"] = "top"
    found = values(view(emptied_of(frames, "race", None)))["value"]
    assert "with race = (missing); a faithful" in found.alarm
    natural = listed(found, "Uncovered, as in real data")
    assert any(row[0] == "race = d, income = >50K" and row[2] == 0 for row in natural.rows)


def emptied_of(frames: Frames, column: str, value: Any) -> Frames:
    made = frames["synthetic"].copy()
    made.loc[made[column].isna() if value is None else made[column] == value, column] = "a"
    return frames | {"synthetic": made}


def test_a_group_absent_in_the_holdout_is_still_covered_by_real_rows() -> None:
    frames = three(people, 1000, 15)
    frames["holdout"].loc[frames["holdout"]["race"] == "c", "race"] = "a"
    found = measured(uncovered, view(emptied_of(frames, "race", "c")))
    assert found["value", ()].alarm.startswith("No row with race = c; a faithful release would have about ")


def test_values_that_only_the_release_has_are_no_pattern() -> None:
    frames = three(people, 1000, 16)
    frames["synthetic"].loc[:400, "race"] = [f"new {i}" for i in range(401)]
    found = values(view(frames))
    assert not any("new" in str(row) for value in found.values() for e in value.evidence for row in e.rows)


def test_without_columns_to_combine_there_is_nothing_to_ask() -> None:
    frames = three(people, 200, 17)
    assert values(view(frames, groups=[], label=None))["value"].status == "not_applicable"
    small = frames | {"synthetic": frames["synthetic"].iloc[:20]}
    found = values(view(small))["value"]
    assert (found.status, found.reason) == (
        "not_assessable",
        "the release has 20 rows, fewer than the 30 that cover a pattern",
    )


def test_rows_of_few_sources_prove_less() -> None:
    frames = three(people, 1000, 18)
    frames = thinned(frames)
    alone = values(view(frames))["value"]
    for role, frame in frames.items():
        frame["source"] = [f"{role} {i // 50}" for i in range(len(frame))]
    together = values(view(frames, cluster="source"))["value"]
    assert alone.alarm
    assert not together.alarm
    assert estimate(alone).value == estimate(together).value
    assert estimate(together).low == 0
    assert estimate(together).high >= estimate(alone).high


def test_an_alarm_fails_the_gate_that_looks_at_it_and_warns_where_none_does() -> None:
    frames = thinned(three(people, 1000, 19))
    asked = {"label": "income", "groups": GROUPS, "metrics": ["coverage.uncovered_patterns"]}
    gated = cp.audit(**frames, **asked, gates=["coverage.uncovered_patterns <= 0"])
    assert gated.verdict == "fail"
    plain = cp.audit(**frames, **asked)
    assert any("race = c" in warning for warning in plain.warnings)
    fresh = cp.audit(**three(people, 1000, 20), **asked, gates=["coverage.uncovered_patterns <= 0"])
    assert fresh.verdict != "fail"
