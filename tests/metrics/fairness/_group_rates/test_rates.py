"""Tables of rates against scikit-learn, pandas and the law of large numbers; strata against group-bys."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers.staged_models import decisions, people, staged
from numpy.typing import NDArray
from simulations.simulate_gap_coverage import stratum_of
from sklearn.metrics import accuracy_score, precision_score, recall_score

from counterproof.metrics.errors import MetricError
from counterproof.metrics.fairness._group_rates.rates import (
    ACCURACY,
    FALSE_POSITIVE,
    PRECISION,
    SELECTION,
    TRUE_POSITIVE,
    Cells,
    Rate,
    Rates,
    RateTable,
    RowInfluences,
    confusion_counts,
    counted_rows,
    crowded_columns,
    finest_cells,
    paired_errors,
    precision_errors,
    precision_table,
    predictions_of,
    quotient,
    share_table,
    strata,
)
from counterproof.metrics.workbench import Workbench


def bench_of_people(rows: pd.DataFrame, *, clusters: NDArray[np.intp] | None = None) -> Workbench:
    groups = {name: rows[name].to_numpy(dtype=np.str_) for name in ("sex", "race", "age")}
    models = {name: decisions(rows[name].to_numpy()) for name in ("real", "synthetic")}
    bench = staged(np.where(rows["truth"], "yes", "no"), **models, groups=groups, clusters=clusters)
    return replace(bench, intersections=2)


def tabulated(bench: Workbench, rate: Rate, column: str) -> RateTable:
    (stratum,) = (stratum for stratum in strata(bench) if stratum.name == column)
    return rate.tabulate(bench, "linear", stratum, rate, "yes")


def cells_of(kind: str, first: list[int], second: list[int]) -> Cells:
    return Cells(
        kind=kind,  # type: ignore[arg-type]
        first=np.array(first),
        second=np.array(second),
        decidable=np.ones(len(first), dtype=bool),
    )


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return people(2400, seed=8)


@pytest.fixture(scope="module")
def bench(rows: pd.DataFrame) -> Workbench:
    return bench_of_people(rows)


@pytest.mark.parametrize(
    ("rate", "reference"),
    [
        (ACCURACY, accuracy_score),
        (PRECISION, precision_score),
        (TRUE_POSITIVE, recall_score),
        (FALSE_POSITIVE, lambda truth, decided: 1 - recall_score(~truth, ~decided)),
        (SELECTION, lambda truth, decided: decided.mean()),
    ],
    ids=lambda case: case.name if isinstance(case, Rate) else "",
)
@pytest.mark.parametrize("column", ["race", "sex, race"])
def test_rates_are_those_of_scikit_learn(
    bench: Workbench, rows: pd.DataFrame, rate: Rate, reference: object, column: str
) -> None:
    table = tabulated(bench, rate, column)
    for g, name in enumerate(table.stratum.groups):
        inside = (rows[column.split(", ")].agg(", ".join, axis=1) == name).to_numpy()
        for side in ("real", "synthetic"):
            for part, rates in ((inside, table.rates), (~inside, table.rest)):
                expected = reference(rows["truth"][part], rows[side][part])  # type: ignore[operator]
                assert rates[side].values[g] == pytest.approx(expected)  # type: ignore[index]
        moved = table.rates["synthetic"].values[g] - table.rates["real"].values[g]
        assert table.change[g] == pytest.approx(moved)


def test_counts_hold_every_labelled_row_once(rows: pd.DataFrame) -> None:
    labels = np.where(rows["truth"], "yes", "no").astype(object)
    labels[:100] = ""
    models = {name: decisions(rows[name].to_numpy()) for name in ("real", "synthetic")}
    bench = staged(labels.astype(np.str_), **models, groups={"sex": rows["sex"].to_numpy(dtype=np.str_)})
    counts = confusion_counts(bench, "linear", "yes").reshape(-1, 2, 2, 2)
    assert counts.sum() == len(rows) - 100
    kept = rows[100:]
    for sex, table in zip(["F", "M"], counts, strict=True):
        inside = kept[kept["sex"] == sex]
        expected = inside.groupby(["truth", "real", "synthetic"]).size().unstack(fill_value=0).to_numpy()
        assert table.reshape(4, 2).tolist() == expected.tolist()
    seen = predictions_of(bench, "linear", "yes", right=True)
    assert (seen.real == (kept["real"] == kept["truth"]).to_numpy()).all()
    assert counted_rows(bench, TRUE_POSITIVE, "yes").sum() == kept["truth"].sum()
    assert counted_rows(bench, FALSE_POSITIVE, "yes").sum() == (~kept["truth"]).sum()
    assert counted_rows(bench, SELECTION, "yes").sum() == len(kept)


def test_strata_are_the_groups_of_a_group_by(bench: Workbench, rows: pd.DataFrame) -> None:
    names = {stratum.name: stratum for stratum in strata(bench)}
    assert list(names) == ["sex", "race", "age", "sex, race", "sex, age", "race, age"]
    assert [stratum.crossed for stratum in names.values()] == [False] * 3 + [True] * 3
    crossed = names["sex, race"]
    sizes = rows.groupby(["sex", "race"]).size()
    assert crossed.groups == tuple(", ".join(key) for key in sizes.index)
    assert np.bincount(crossed.members(bench)).tolist() == sizes.to_list()
    ones = finest_cells(bench).counts(bench.test)[:, None]
    assert crossed.summed(ones)[:, 0].tolist() == sizes.to_list()


def test_levels_of_a_column_held_fixed_part_the_rows(bench: Workbench, rows: pd.DataFrame) -> None:
    levels = [stratum for stratum in strata(bench, ("race",)) if stratum.name == "sex"]
    assert [stratum.level for stratum in levels] == [(("race", race),) for race in "abc"]
    for stratum, (_, part) in zip(levels, rows.groupby("race"), strict=True):
        members = stratum.members(bench)
        assert (members >= 0).sum() == len(part)
        assert np.bincount(members[members >= 0]).tolist() == part.groupby("sex").size().to_list()


def test_crowded_columns_are_counted_and_not_compared(rows: pd.DataFrame) -> None:
    crowded = rows.assign(age=[f"a{i % 101}" for i in range(len(rows))])
    bench = bench_of_people(crowded)
    assert crowded_columns(bench) == {"age": 101}
    assert {stratum.name for stratum in strata(bench)} == {"sex", "race", "sex, race"}
    with pytest.raises(MetricError, match="age has 101 values; 100 can be held fixed at most"):
        strata(bench, ("age",))


def test_groups_of_few_real_and_few_test_rows_are_hidden_unless_real_rows_may_be_shown(rows: pd.DataFrame) -> None:
    few = rows.copy()
    few.loc[:8, "race"] = "d"
    bench = bench_of_people(few)
    (stratum,) = (stratum for stratum in strata(bench) if stratum.name == "race")
    assert dict(zip(stratum.groups, stratum.hidden.tolist(), strict=True)) == {
        "a": False,
        "b": False,
        "c": False,
        "d": True,
    }
    table = SELECTION.tabulate(bench, "linear", stratum, SELECTION, "yes")
    assert table.disclosable(cells_of("pair", [0, 0], [1, 3])).tolist() == [True, False]
    assert not any(stratum.hidden.any() for stratum in strata(replace(bench, show_real=True)))


def test_the_paired_error_is_that_of_the_difference_of_dependent_shares() -> None:
    """Of 4,000 rows the padded error is the plain one, ``sqrt((b + c - (b - c)² / n) / n²)``, but for a thousandth."""
    table = np.array([[[2000, 700], [300, 1000]]])
    plain = math.sqrt((700 + 300 - (700 - 300) ** 2 / 4000) / 4000**2)
    assert paired_errors(table)[0] == pytest.approx(plain, rel=2e-3)
    assert np.isinf(paired_errors(np.zeros((1, 2, 2), dtype=np.intp))[0])
    assert paired_errors(np.array([[[5, 0], [0, 0]]]))[0] > 0.15  # five rows that agree do not claim certainty


def test_the_error_of_a_change_of_precision_is_its_spread_over_samples() -> None:
    rng = np.random.default_rng(0)
    cells = np.array([0.2, 0.05, 0.1, 0.15, 0.05, 0.1, 0.05, 0.3])
    drawn = rng.multinomial(1500, cells, size=4000).reshape(-1, 2, 2, 2)
    table = precision_table(stratum_of(4000), drawn)
    assert table.error.mean() == pytest.approx(table.change.std(), rel=0.03)
    one = np.ones(1)
    assert precision_errors(np.zeros((1, 2, 2, 2), dtype=np.intp), one, one)[0] > 0.4


@pytest.mark.parametrize("rate", [SELECTION, TRUE_POSITIVE], ids=lambda rate: rate.name)
def test_the_error_of_a_change_to_overall_is_its_spread_over_samples(rate: Rate) -> None:
    rng = np.random.default_rng(1)
    cells = np.stack([rng.dirichlet(np.full(8, 3.0)) for _ in range(3)]).reshape(-1)
    drawn = rng.multinomial(3000, cells / 3, size=1500).reshape(-1, 3, 2, 2, 2)
    cell = cells_of("overall", [0], [0])
    tables = [share_table(stratum_of(3), counts, rate) for counts in drawn]
    spread = np.std([table.changes(cell)[0] for table in tables])
    assert np.mean([table.errors(cell)[0] for table in tables]) == pytest.approx(spread, rel=0.06)


def test_a_group_and_its_rest_make_the_whole(bench: Workbench, rows: pd.DataFrame) -> None:
    table = tabulated(bench, SELECTION, "race")
    overall = rows["real"].mean()
    assert table.from_overall("real") == pytest.approx(table.rates["real"].values - overall)
    assert table.other_share("real") == pytest.approx(1 - table.rows / len(rows))


def test_of_a_single_group_nothing_stands_against_all_rows() -> None:
    table = share_table(stratum_of(1), np.full((1, 2, 2, 2), 10), SELECTION)
    assert table.has(cells_of("group", [0], [0])).tolist() == [True]
    assert table.has(cells_of("overall", [0], [0])).tolist() == [False]
    assert np.isnan(table.overall_error[0])


def test_every_row_a_source_of_its_own_gives_the_plain_error_of_means() -> None:
    rng = np.random.default_rng(2)
    moved, member = rng.integers(-1, 2, 900), rng.integers(0, 3, 900)
    sizes, means = np.bincount(member), np.bincount(member, weights=moved) / np.bincount(member)
    influences = RowInfluences(
        sources=np.arange(900),
        members=member,
        own=(moved - means[member]) / sizes[member],
        everyone=(moved - moved.mean()) / 900,
    )
    variance = np.array([moved[member == g].var() for g in range(3)]) / sizes
    pairs = influences.errors(cells_of("pair", [0, 1], [1, 2]), 3)
    assert pairs == pytest.approx(np.sqrt([variance[0] + variance[1], variance[1] + variance[2]]), rel=1e-3)
    assert influences.errors(cells_of("group", [2], [2]), 3) == pytest.approx(np.sqrt(variance[2:]), rel=1e-3)
    one_source = replace(influences, sources=np.zeros(900, dtype=np.intp))
    assert np.isinf(one_source.errors(cells_of("group", [0], [0]), 3)).all()


def test_sources_that_span_both_groups_of_a_pair_cancel() -> None:
    """Twins on either side that always move together say nothing about the difference: its error is 0."""
    moved = np.random.default_rng(3).integers(-1, 2, 200).astype(float)
    influences = RowInfluences(
        sources=np.tile(np.arange(200), 2),
        members=np.repeat([0, 1], 200),
        own=np.tile((moved - moved.mean()) / 200, 2),
        everyone=np.tile((moved - moved.mean()) / 400, 2),
    )
    assert influences.errors(cells_of("pair", [0], [1]), 2)[0] == pytest.approx(0, abs=1e-8)
    assert influences.errors(cells_of("group", [0], [0]), 2)[0] > 0.01


@pytest.mark.parametrize("rate", [SELECTION, TRUE_POSITIVE, PRECISION], ids=lambda rate: rate.name)
def test_copies_of_a_row_in_one_source_add_no_certainty(rows: pd.DataFrame, rate: Rate) -> None:
    fourfold = pd.concat([rows] * 4, ignore_index=True)
    cells = cells_of("pair", [0], [1])
    once = tabulated(bench_of_people(rows), rate, "race").errors(cells)[0]
    tied = tabulated(bench_of_people(fourfold, clusters=np.tile(np.arange(len(rows)), 4)), rate, "race")
    free = tabulated(bench_of_people(fourfold), rate, "race").errors(cells)[0]
    assert tied.errors(cells)[0] == pytest.approx(once, rel=0.03)
    assert free == pytest.approx(once / 2, rel=0.03)


def test_intervals_of_rates_without_rows_are_unknown() -> None:
    rates = Rates.shares(np.array([3, 0]), np.array([10, 0]))
    low, high = rates.ends(0.95)
    assert (low[0], high[0]) == (pytest.approx(0.1078, abs=1e-4), pytest.approx(0.6032, abs=1e-4))  # Wilson, 3 of 10
    assert np.isnan([low[1], high[1], rates.values[1]]).all()
    assert quotient(np.array([1, 0]), np.array([4, 0])).tolist()[0] == 0.25


def test_cells_are_named_by_their_groups(bench: Workbench) -> None:
    table = tabulated(bench, SELECTION, "sex")
    assert table.named(cells_of("pair", [0], [1]), 0) == "F – M"
    assert table.named(cells_of("overall", [1], [1]), 0) == "M – overall"
    assert table.named(cells_of("group", [1], [1]), 0) == "M"
