"""Which patterns chance explains, by closed forms, and what readers are told of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.workbenches import bench
from scipy.special import gammaincc
from scipy.stats import fisher_exact

from counterproof.metrics.coverage._patterns.evidence import alarm, collecting_plan, natural_gaps, what_to_collect
from counterproof.metrics.coverage._patterns.lattice import OPEN, Uncovered
from counterproof.metrics.coverage._patterns.remedy import Remedy
from counterproof.metrics.coverage._patterns.search import Search, Space, may_cover, search_patterns, space_of
from counterproof.metrics.coverage._shares.categories import FEW, categories, default_columns
from counterproof.metrics.errors import MetricError
from counterproof.metrics.sample import MISSING_TEXT, RARE_TEXT
from counterproof.metrics.workbench import Workbench


def uncovered(made: list[int], real: list[int], covered: int = 10) -> Uncovered:
    return Uncovered(
        patterns=np.array([[at % 2, OPEN] for at in range(len(made))], dtype=np.intp),
        made=np.array(made, dtype=np.int64),
        real=np.array(real, dtype=np.int64),
        maximal=np.ones(len(made), dtype=bool),
        covered=covered,
    )


def search(found: Uncovered, **more: Any) -> Search:
    how: dict[str, Any] = {"threshold": 30.0, "covering": 60.0, "perhaps": 50.0, "n_real": 2000, "n_made": 1000}
    return Search(found=found, **{**how, "weights": (1.0, 1.0), **more})


@pytest.mark.parametrize(("made", "real"), [(0, 60), (3, 80), (25, 60), (40, 60)])
def test_the_chance_of_a_shortage_is_fishers_one_sided_test(made: int, real: int) -> None:
    found = uncovered([made], [real])
    table = [[made, 1000 - made], [real, 2000 - real]]
    expected = fisher_exact(table, alternative="less").pvalue
    assert search(found).shortage(found)[0] == pytest.approx(expected, rel=1e-9)
    assert search(found).expected(found)[0] == real / 2


def test_dependent_rows_count_as_the_independent_rows_in_them() -> None:
    found = uncovered([10], [100])
    halved = search(found, weights=(0.5, 0.5)).shortage(found)[0]
    assert halved == pytest.approx(fisher_exact([[5, 495], [50, 950]], alternative="less").pvalue, rel=1e-9)
    assert halved > search(found).shortage(found)[0]


def test_what_is_beyond_chance_is_divided_among_all_that_real_rows_cover() -> None:
    found = uncovered([0, 22, 0], [60, 60, 40])
    chance = search(found).shortage(found)
    one = search(found).beyond(found, 0.05)
    assert one.tolist() == [chance[0] <= 0.005, chance[1] <= 0.005, False], "40 real rows cover nothing"
    assert one.tolist() == [True, False, False]
    many = uncovered([0, 22, 0], [60, 60, 40], covered=math.ceil(0.05 / chance[0]) + 1)
    assert not search(many).beyond(many, 0.05).any()


@pytest.mark.parametrize(("covering", "weight"), [(30.0, 1.0), (12.5, 1.0), (30.0, 0.5), (3.0, 1.0)])
def test_the_fewest_rows_that_may_cover_follow_from_the_poisson_bound(covering: float, weight: float) -> None:
    fewest = may_cover(covering, weight, 0.95)
    # gammaincc(c + 1, mean) is the chance of at most c events, for fractions of rows too.
    assert gammaincc(fewest * weight + 1, covering * weight) >= 0.025 - 1e-12
    if fewest:
        assert gammaincc((fewest - 1) * weight + 1, covering * weight) < 0.025


def view(frame: pd.DataFrame, **more: Any) -> Workbench:
    """Three equal thirds: train, holdout, release; groups and label are the columns named so."""
    x = np.zeros((len(frame) // 3, 1))
    groups = {name: frame[name].to_numpy(dtype=np.str_) for name in ("sex", "race") if name in frame}
    kinds = {name: "number" if frame[name].dtype.kind == "f" else "category" for name in frame.columns}
    return bench(x, x, x, groups=groups, frame=frame, kinds=kinds, **more)


def people(gone: bool = True) -> pd.DataFrame:
    """1,000 rows a role; the release has no ``(F, b)``, and nobody has ``(F, c)``."""
    sex = np.tile(["F", "F", "M", "M", "M"], 600)
    race = np.tile(["a", "b", "a", "b", "c"], 600)
    if gone:
        race[2000:][(sex == "F")[2000:]] = "a"
    return pd.DataFrame({"sex": sex, "race": race})


def searched(at: Workbench, threshold: int = 30) -> tuple[Space, Search]:
    space = space_of(at, None)
    return space, search_patterns(at, space, threshold=threshold, order=2)


def test_a_lost_crossing_is_named_counted_and_alarmed_of() -> None:
    at = view(people())
    space, found = searched(at)
    assert alarm(at, space, found) == "No row with sex = F, race = b; a faithful release would have about 200"
    (listed,) = what_to_collect(at, space, found)
    assert listed.rows == ((30, "sex = F, race = b", 0, 400, 200.0, "beyond chance"),)
    (natural,) = natural_gaps(at, space, found)
    assert natural.rows == (("sex = F, race = c", 0, 0),)


def test_a_faithful_release_sets_off_no_alarm() -> None:
    at = view(people(gone=False))
    space, found = searched(at)
    assert alarm(at, space, found) == ""
    assert list(what_to_collect(at, space, found)) == []


def test_counts_of_few_real_rows_are_hidden_unless_shown() -> None:
    frame = people(gone=False)
    frame.loc[[0, 1005], "race"] = "c"  # two real women of race c: 2 is below the small cell
    for show, told in ((False, "too few rows: fewer than 10"), (True, 2)):
        at = view(frame, show_real=show)
        (natural,) = natural_gaps(at, *searched(at))
        assert natural.rows == (("sex = F, race = c", 0, told),)


def test_the_collecting_plan_lists_most_rows_first() -> None:
    at = view(people())
    space, _ = searched(at)
    plan = Remedy(requests=np.array([[0, OPEN], [1, 1]]), rows=np.array([5, 25], dtype=np.int64), least=30)
    (listed,) = collecting_plan(space, plan, "exactly")
    assert listed.rows == ((25, "sex = M, race = b"), (5, "sex = F"))
    assert listed.title.startswith("30 rows ")
    none = Remedy(requests=np.empty((0, 2), dtype=np.intp), rows=np.empty(0, dtype=np.int64), least=0)
    assert list(collecting_plan(space, none, "exactly")) == []


def test_distinct_rows_count_every_sample_and_patterns_read_as_words() -> None:
    at = view(people())
    space = space_of(at, None)
    together = space.counts(at.real) + space.counts(at.release)
    assert together.sum() == 3000
    assert len(space.cells.codes) == 5
    assert space.text([OPEN, OPEN]) == "any kind"
    assert space.remark == ""


def test_numbers_of_many_values_are_cut_into_fifths_of_the_real_rows() -> None:
    real = np.arange(200.0)
    at = view(pd.DataFrame({"age": np.concatenate([real, [np.nan, -50.0, 999.0], np.full(97, 100.0)])}))
    ((age,), crowded) = categories(at, ["age"])
    assert crowded == {}
    counts = np.bincount(age.codes[at.real.rows])
    assert counts.tolist() == [40] * 5
    assert age.values[0] == "≤ 39.8"
    assert age.values[-1] == "> 159.2"
    codes = age.codes[at.release.rows][:3].tolist()
    assert codes == [5, 0, 4], "missing in no real row has no value of its own; ends are open"


def test_few_numbers_stay_values_and_rare_ones_are_pooled() -> None:
    values = np.tile([1.0, 2.0, 3.0], 100)
    values[[0, 100]] = 7.0  # two real rows
    frame = pd.DataFrame({"rooms": values})
    assert len(np.unique(values)) <= FEW
    ((rooms,), _) = categories(view(frame), ["rooms"])
    assert rooms.values == ("1", "2", "3", RARE_TEXT)
    ((shown,), _) = categories(view(frame, show_real=True), ["rooms"])
    assert shown.values == ("1", "2", "3", "7")


def test_missing_is_a_value_with_a_name_and_never_pooled() -> None:
    town = pd.Series(np.tile(["Ulm", "Bonn", "Kiel"], 100), dtype=object)
    town[[3, 4]] = None
    ((found,), _) = categories(view(pd.DataFrame({"town": town})), ["town"])
    assert set(found.values) == {"Ulm", "Bonn", "Kiel", MISSING_TEXT}


def test_columns_of_one_value_are_left_out_and_unknown_ones_refused() -> None:
    frame = people().assign(country="DE", when=0.0)
    at = view(frame)
    assert default_columns(at) == ("sex", "race")
    assert [column.name for column in categories(at, ["sex", "country"])[0]] == ["sex"]
    with pytest.raises(MetricError, match="did you mean country"):
        categories(at, ["countri"])
    dated = view(frame)
    object.__setattr__(dated.corpus, "kinds", dict(dated.corpus.kinds) | {"when": "date"})
    with pytest.raises(MetricError, match="'when' \\(date\\) is no category"):
        categories(dated, ["when"])
