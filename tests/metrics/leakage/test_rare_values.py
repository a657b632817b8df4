"""Values that one training record alone holds are found in a release, and natural repeats are not accused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured, three
from scipy.stats import fisher_exact, norm, rankdata
from simulations.text_columns import frame as frame_of_texts

import counterproof as cp
from counterproof.metrics.errors import MetricError
from counterproof.metrics.leakage._unique_values import drawn, numbers_rows, uniques_of
from counterproof.metrics.leakage.rare_values import claimed, mean_excess, rare_values, sharing
from counterproof.metrics.metric import Value
from counterproof.metrics.statistics.exact_tests import ALARM, Tally

Frames = dict[str, pd.DataFrame]
ROLES = ("train", "holdout", "synthetic")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def people(n: int, seed: int) -> pd.DataFrame:
    """Incomes to the cent, ages in years, and categories with rare levels."""
    rng = np.random.default_rng(seed)
    talent = rng.normal(size=n)
    return pd.DataFrame(
        {
            "income": np.round(np.exp(10 + 0.5 * talent + 0.5 * rng.normal(size=n)), 2),
            "age": rng.integers(18, 90, n),
            "town": rng.choice([f"t{i}" for i in range(40)], n, p=np.arange(40, 0, -1) / 820),
            "job": np.where(talent > 0, "office", "field"),
            "score": np.round(talent, 1),
        }
    )


def values(frames: Frames, *, options: dict[str, Any] | None = None, **run: Any) -> dict[str, Value]:
    return {v.field: v for v in rare_values.values(desk(sources=frames, **run), options or {})}


def copula(train: pd.DataFrame, columns: list[str], seed: int) -> pd.DataFrame:
    """A Gaussian copula whose marginals are the training values themselves: it copies every number exactly."""
    rng = np.random.default_rng(seed)
    z = np.stack([norm.ppf(rankdata(train[name]) / (len(train) + 1)) for name in columns], axis=1)
    drawn_z = rng.multivariate_normal(np.zeros(len(columns)), np.corrcoef(z.T), len(train))
    made = train.sample(len(train), replace=True, random_state=seed).reset_index(drop=True)
    for at, name in enumerate(columns):
        place = np.minimum((norm.cdf(drawn_z[:, at]) * len(train)).astype(int), len(train) - 1)
        made[name] = np.sort(train[name].to_numpy())[place]
    return made


def test_a_copula_with_empirical_marginals_gives_exact_incomes_away() -> None:
    frames = three(people, 800, 1)
    frames["synthetic"] = copula(frames["train"], ["income", "age", "score"], 0)
    found = values(frames)["value"]
    assert "have a value that no other real record has" in found.alarm or "in income" in found.alarm
    assert found.estimate is not None
    assert found.estimate.low > 0.4  # 1 - 1/e of the incomes are drawn
    assert found.evidence[0].rows[0][0] == "income"
    near = cp.audit(**frames, metrics=["leakage.rare_values"])
    assert near.families["leakage"].verdict == "fail"


def test_rounded_incomes_repeat_naturally_and_are_not_accused() -> None:
    for seed in range(6):
        frames = {
            role: frame.assign(income=frame["income"].round(-2))
            for role, frame in three(people, 800, 30 + seed).items()
        }
        found = values(frames)
        assert not any(v.alarm for v in found.values())
        assert found["value"].estimate is not None
        assert abs(found["value"].estimate.value) < 0.05


@pytest.mark.parametrize("copied", [["income"], ["income", "town"]])
def test_a_few_single_values_are_found(copied: list[str]) -> None:
    for seed in range(5):
        frames = three(people, 1000, 50 + seed)
        rows = frames["train"].sample(16, random_state=seed)
        frames["synthetic"].loc[:15, copied] = rows[copied].to_numpy()
        found = values(frames)["value"]
        assert found.alarm
        given = found.evidence[1]
        assert {row[0] for row in given.rows if row[1] == "income"} >= {str(i) for i in rows.index}


def combined(n: int, seed: int) -> pd.DataFrame:
    """No value is rare; many combinations of three are."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: rng.integers(0, 40, n) for name in "abcdef"}).astype(str)


def test_combinations_are_found_where_no_value_is_rare() -> None:
    frames = three(combined, 1000, 3)
    assert not any(v.alarm for v in values(frames).values())
    part = list("ace")
    frames["synthetic"].loc[:59, part] = frames["train"].loc[:59, part].to_numpy()
    found = values(frames)
    assert "in a and c and e" in found["combinations"].alarm
    assert found["value"].alarm == found["combinations"].alarm
    assert found["combinations"].evidence[0].rows[0][0] == "a + c + e"


def test_uniques_are_those_of_a_written_out_count() -> None:
    frames = three(combined, 120, 4)
    bench = desk(sources=frames)
    found = uniques_of(bench, most=3)
    real = pd.concat([frames["train"], frames["holdout"]], ignore_index=True)
    for at, columns in enumerate(found.sets):
        keys = list(map(tuple, real[list(columns)].to_numpy()))
        alone = {name: real[name].map(real[name].value_counts()).eq(1).to_numpy() for name in columns}
        once = np.array([keys.count(key) == 1 for key in keys])
        if len(columns) > 1:
            once &= ~np.any(list(alone.values()), axis=0)
        there = set(map(tuple, frames["synthetic"][list(columns)].to_numpy()))
        assert found.held[:, at].tolist() == once.tolist()
        assert found.hit[:, at].tolist() == (once & np.array([key in there for key in keys])).tolist()


def test_sources_count_once() -> None:
    frames = three(people, 300, 5)
    for role, frame in frames.items():
        frames[role] = frame.loc[frame.index.repeat(4)].assign(pid=lambda f, r=role: [f"{r}{i}" for i in f.index])
        frames[role].index = pd.RangeIndex(len(frames[role]))
    frames["synthetic"]["income"] = frames["train"]["income"].to_numpy()
    assert values(frames, options={"combinations": 0})["value"].alarm == "", "every value has twins"
    bench = desk(sources=frames, cluster="pid")
    found = next(iter(rare_values.values(bench, {"combinations": 0})))
    assert found.n["train"] == 300
    assert found.alarm.startswith("300 training records")


def test_the_floor_is_centred_and_holds_no_alarm() -> None:
    made = measured(rare_values, desk(sources=three(people, 600, 6)))
    for field in ("value", "combinations"):
        floor = made[field, ()].floor
        assert floor is not None
        assert abs(floor.value) < 4 * floor.spread / np.sqrt(floor.draws) + 1e-9


def test_values_stay_hidden_unless_asked_for() -> None:
    frames = three(people, 600, 7)
    frames["synthetic"]["income"] = frames["train"]["income"].to_numpy()
    hidden = values(frames)
    told = repr(hidden)
    assert not any(repr(float(v)) in told for v in frames["train"]["income"])
    assert not any(e.shows_real for v in hidden.values() for e in v.evidence)
    shown = values(frames, show_real=True)["value"].evidence[1]
    assert shown.shows_real
    first = shown.rows[0]
    assert float(first[2]) == frames["train"]["income"].iloc[int(first[0])]


# -- data that cannot tell, and bad input ------------------------------------------------------------


def test_row_numbers_are_no_values() -> None:
    frames = {role: frame.assign(nr=np.arange(len(frame))) for role, frame in three(people, 300, 8).items()}
    frames["holdout"]["nr"] += 300
    found = values(frames)["value"]
    assert not found.alarm
    assert found.reason.endswith("left out as mere numbers of rows: nr")


@pytest.mark.parametrize("column", ["person_id", "row_id"])
def test_identifiers_are_no_values(column: str) -> None:
    frames = {
        role: frame.assign(**{column: np.arange(len(frame)) * 7}) for role, frame in three(people, 300, 8).items()
    }
    frames["holdout"][column] += 3
    assert not values(frames)["value"].alarm


@pytest.mark.parametrize("kind", ["token", "hex", "number", "coded"])
def test_identifiers_of_training_records_in_the_release_alarm_and_serial_numbers_do_not(kind: str) -> None:
    rng = np.random.default_rng(0)
    makers = {
        "token": lambda n: [f"TK-{''.join(rng.choice(list('ABCDEFGHJK'), 8))}" for _ in range(n)],
        "hex": lambda n: [rng.bytes(6).hex() for _ in range(n)],
        "number": lambda n: rng.choice(10**9, n, replace=False),
        "coded": lambda n: [f"P-{at:06d}" for at in rng.choice(10**6, n, replace=False)],
    }
    frames = {role: frame.assign(ref=makers[kind](300)) for role, frame in three(people, 300, 8).items()}
    assert not values(frames)["value"].alarm
    leaky = frames | {"synthetic": frames["synthetic"].assign(ref=frames["train"]["ref"].to_numpy())}
    assert values(leaky)["value"].alarm.startswith("300 training records have a value in ref")
    serial = {role: frame.assign(ref=[f"P-{at:06d}" for at in range(300)]) for role, frame in frames.items()}
    serial["holdout"]["ref"] = [f"P-{at:06d}" for at in range(300, 600)]
    assert not values(serial)["value"].alarm


def test_without_unique_values_nothing_can_be_told() -> None:
    frames = three(lambda n, s: pd.DataFrame({"a": np.arange(n) % 7, "b": np.arange(n) % 2}), 400, 9)
    found = values(frames)
    assert found["value"].estimate is not None
    assert found["value"].estimate.value == 0
    assert "no value is held by one real record alone" in found["value"].reason
    assert values(frames, options={"combinations": 0})["combinations"].status == "not_applicable"


def test_without_a_holdout_nothing_is_said() -> None:
    frames = three(people, 300, 10)
    del frames["holdout"]
    record = cp.audit(**frames, metrics=["leakage.rare_values"])
    assert record["leakage.rare_values"].status == "not_assessable"
    assert record.verdict == "inconclusive"


def test_arrays_have_no_values() -> None:
    frames = {role: frame[["income", "age"]].to_numpy() for role, frame in three(people, 200, 11).items()}
    made = measured(rare_values, desk(sources=frames))
    assert {m.status for m in made.values()} == {"not_applicable"}


def wide(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.integers(0, 30, (n, 300)), columns=[f"c{i}" for i in range(300)])


def constant(n: int, seed: int) -> pd.DataFrame:
    return people(n, seed).assign(country="US")


@pytest.mark.parametrize(
    ("make", "n", "times"), [(people, 40, 1), (wide, 200, 1), (constant, 300, 1), (people, 150, 20)]
)
def test_odd_tables_are_judged(make: Callable[[int, int], pd.DataFrame], n: int, times: int) -> None:
    frames = three(make, n, 12)
    frames["synthetic"] = make(n * times, 99)
    for made in measured(rare_values, desk(sources=frames)).values():
        assert made.status == "measured"
        assert not made.alarm


def test_a_holdout_within_train_is_refused_by_the_audit() -> None:
    frames = three(people, 300, 13)
    frames["holdout"] = frames["train"].iloc[:200]
    with pytest.raises(cp.Refusal, match="also stand in train"):
        cp.audit(**frames, metrics=["leakage.rare_values"])


def test_a_negative_number_of_combinations_is_one_sentence() -> None:
    with pytest.raises(MetricError, match=r"option combinations = -1: give 0 or more"):
        values(three(people, 60, 14), options={"combinations": -1})


def test_missing_is_no_value() -> None:
    frames = three(people, 300, 15)
    frames["train"].loc[0, "town"] = frames["synthetic"].loc[0, "town"] = None
    found = uniques_of(desk(sources=frames), most=0)
    assert not found.hit[0, found.sets.index(("town",))]


def test_combinations_are_drawn_once_each_and_seeded() -> None:
    columns = [f"c{i}" for i in range(30)]
    one, other = (drawn(columns, 50, np.random.default_rng(3)) for _ in range(2))
    assert one == other
    assert len(set(one)) == len(one) == 150
    assert [sum(len(c) == size for c in one) for size in (2, 3, 4)] == [50, 50, 50]
    assert drawn(["a"], 5, np.random.default_rng(0)) == []


@pytest.mark.parametrize(
    ("column", "expected"),
    [([2, 0, 1], True), ([0, 2, 4], False), (["a", "b"], False), ([1.0, None], False), ([5], False)],
)
def test_row_numbers_are_told(column: list[Any], expected: bool) -> None:
    assert numbers_rows(pd.Series(column)) is expected


def test_tests_that_could_never_alarm_cost_nothing() -> None:
    assert sharing([0.5] * 100) == 1
    assert sharing([1e-12] * 7 + [0.01] * 50) == 7
    assert sharing([0.0019, 0.0019]) == 2  # shared, neither can pass
    assert sharing([]) == 1


@pytest.mark.slow
def test_intervals_hold_and_alarms_stay_within_their_level() -> None:
    held = {"value": 0, "combinations": 0}
    alarms, repeats = 0, 300
    for seed in range(repeats):
        found = values(three(people, 250, 3000 + seed), options={"combinations": 5})
        for field, value in found.items():
            assert value.estimate is not None
            held[field] += value.estimate.low <= 0 <= value.estimate.high
            alarms += bool(value.alarm)
    assert alarms <= 4  # P(X > 4) < 0.001 at 2 x 0.002
    assert min(held.values()) >= 0.925 * repeats, held


def test_the_interval_of_means_is_welchs_with_a_record_added() -> None:
    rng = np.random.default_rng(0)
    members, others = rng.binomial(10, 0.3, 400) / 10, rng.binomial(10, 0.2, 300) / 10
    found = mean_excess(members, others, 0.95)
    error = np.sqrt(members.var(ddof=1) / 400 + others.var(ddof=1) / 300)
    assert found.value == pytest.approx(members.mean() - others.mean())
    assert found.high - found.value == pytest.approx(1.96 * error, rel=0.03)
    assert mean_excess(np.zeros(50), np.zeros(50), 0.95).high == 0.0


def heights(n: int, seed: int) -> pd.DataFrame:
    """A score in hundredths: some values are lone, and chance meets them anywhere."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"score": np.round(rng.normal(size=n), 2), "sex": rng.choice(["f", "m"], n)})


def test_where_chance_gives_records_away_more_are_planted_than_where_it_does_not() -> None:
    for draw in range(3):
        found = measured(rare_values, desk(sources=three(heights, 2000, draw)))["value", ()]
        assert found.estimate is not None
        assert "0 of 2000 holdout" not in found.reason
        assert len(found.controls) == 1
        assert found.controls[0].found is not False, found.controls[0].told  # 10 would be lost in the holdout's


def test_the_fewest_that_it_claims_to_see_are_the_fewest_that_fisher_tells() -> None:
    for hits in ((0, 0), (10, 12), (12, 10)):
        tally = Tally(hits=hits, sizes=(5000, 5000))
        more = claimed(tally, 3)
        assert fisher(hits[0] + more, hits[1]) < ALARM / 3 <= fisher(hits[0] + more - 1, hits[1])
    assert claimed(Tally(hits=(0, 0), sizes=(4, 4)), 1) == 5


def fisher(members: int, others: int) -> float:
    table = [[members, 5000 - members], [others, 5000 - others]]
    return float(fisher_exact(table, alternative="greater").pvalue)


def shared_sources(share: float, *, copied: int = 0) -> Frames:
    """Rows of sources, of whose training part a share stands in the holdout with rows of their own."""
    frames = three(people, 600, 5)
    rng = np.random.default_rng(5)
    patients = {
        "train": rng.permutation(600) // 3,
        "holdout": np.where(rng.random(600) < share, 0, 1000) + rng.permutation(600) // 3,
        "synthetic": 9000 + np.arange(600),
    }
    frames = {role: frame.assign(patient=patients[role]) for role, frame in frames.items()}
    frames["synthetic"].loc[: copied - 1, "income"] = frames["train"]["income"].to_numpy()[:copied]
    return frames


def test_sources_of_which_train_and_holdout_both_hold_rows_are_neither_and_are_counted() -> None:
    honest = values(shared_sources(0.5), cluster="patient")["value"]
    assert not honest.alarm
    assert "sources stand in train and holdout alike and were left out" in honest.reason
    assert honest.estimate is not None
    assert honest.estimate.low <= 0 <= honest.estimate.high
    leaky = values(shared_sources(0.1, copied=300), cluster="patient")["value"]
    assert "in income" in leaky.alarm


def test_where_every_source_stands_on_both_sides_there_is_no_control() -> None:
    frames = shared_sources(1.0)
    frames["train"]["patient"] = frames["holdout"]["patient"].to_numpy()
    (found,) = rare_values.values(desk(sources=frames, cluster="patient"), {})
    assert found.status == "not_assessable"
    assert found.reason.startswith("every source record stands in train and holdout alike")
    with pytest.raises(cp.Refusal, match="200 of the 200 sources of its rows"):
        cp.audit(**frames, cluster="patient", metrics=["leakage.rare_values"])
    record = cp.audit(**frames, cluster="patient", metrics=["leakage.rare_values"], allow_overlap=True)
    assert {reading.status for reading in record.measurements} == {"not_assessable"}
    assert record.verdict == "inconclusive"


# -- identifiers, and parts of texts ----------------------------------------------------------------


def identified(n: int, seed: int) -> pd.DataFrame:
    """A column of each kind that can name a record, and a plain one."""
    rng = np.random.default_rng(seed)
    made = frame_of_texts(n, seed)[["email", "remark", "uuid", "name"]]
    return made.assign(
        number=rng.integers(10**8, 10**9, n),
        amount=rng.random(n) * 1e6,
        moment=pd.Timestamp("2001-01-01") + pd.to_timedelta(rng.integers(0, 10**9, n), unit="s"),
        age=rng.integers(18, 90, n),
    )


def fields(frames: Frames) -> dict[str, Value]:
    """The fields of the metric, each with its own alarm."""
    return values(frames)


@pytest.mark.parametrize("column", ["uuid", "email", "number", "amount", "moment"])
def test_identifiers_of_training_records_in_the_release_are_found_whatever_their_type(column: str) -> None:
    frames = three(identified, 1000, 21)
    assert not fields(frames)["value"].alarm
    taken = frames["train"][column].sample(30, random_state=1).to_numpy()
    frames["synthetic"].loc[:29, column] = taken
    alarm = fields(frames)["value"].alarm
    assert f"30 training records have a value in {column}" in alarm


def test_a_user_name_of_a_training_record_in_another_address_is_found() -> None:
    frames = three(identified, 1000, 22)
    honest = fields(frames)["parts"]
    assert not honest.alarm
    names = frames["train"]["email"].str.partition("@")[0].sample(40, random_state=2).to_numpy()
    frames["synthetic"].loc[:39, "email"] = [f"{name}@elsewhere.example" for name in names]
    found = fields(frames)
    assert "training records have a part of a text in email that no other real record has" in found["parts"].alarm
    assert found["value"].alarm == found["parts"].alarm  # the gate on the headline fails by it
    assert found["parts"].evidence[0].rows[0][0] == "parts of email"
    told = " ".join(str(cell) for table in found["parts"].evidence for row in table.rows for cell in row)
    assert not any(name in told for name in names)


def test_numbers_that_count_the_rows_inside_a_text_are_no_leak() -> None:
    frames = three(identified, 1000, 23)
    for at, rows in enumerate(frames.values()):
        start = 0 if at != 1 else 5000
        rows["email"] = [f"user{i}@post.example" for i in range(start, start + len(rows))]
        rows["remark"] = [
            f"order {600_000 + i} of {town}" for i, town in zip(range(start, start + 1000), rows["name"], strict=True)
        ]
    found = fields(frames)
    assert not found["value"].alarm
    assert "email" in found["value"].left_out


@pytest.mark.slow
def test_parts_of_texts_raise_no_false_alarm() -> None:
    frames = identified(18_000, 24)
    alarms = 0
    for draw in range(60):
        parts = frames.sample(1500, random_state=draw).reset_index(drop=True)
        roles = {role: parts.iloc[at * 500 : (at + 1) * 500].reset_index(drop=True) for at, role in enumerate(ROLES)}
        alarms += bool(fields(roles)["value"].alarm)
    assert alarms <= 1
