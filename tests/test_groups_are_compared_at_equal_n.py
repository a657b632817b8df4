"""Fidelity of classes and groups: equal n, small groups said to be small, the worse group found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from benches import bench
from desks import measured

from counterproof.engine import measure
from counterproof.metrics.balls import balls_between
from counterproof.metrics.cell_likeness import FIELDS, likeness
from counterproof.metrics.estimate import Measurement
from counterproof.metrics.group_cells import LEAST, MOST, plan_cells
from counterproof.metrics.kernel import kernel_distance, kernel_distance_between
from counterproof.metrics.metric import MetricError
from counterproof.metrics.sample import Floats
from counterproof.metrics.subgroups import by_class, coverage_of_real_rows, subgroup_fidelity
from counterproof.metrics.workbench import Workbench

Found = dict[tuple[str, tuple[tuple[str, str | None], ...]], Measurement]
SIZES = {"a": 500, "b": 200, "c": 130, "d": 5}
CENTRES = {"a": 0.0, "b": 2.0, "c": -1.0, "d": 2.0}
D = 12


def rows(rng: np.random.Generator, names: np.ndarray[Any, Any], d: int = D) -> Floats:
    centre = np.array([CENTRES[name] for name in names])[:, None]
    return np.asarray(centre + 0.5 * rng.normal(size=(len(names), 1)) + 0.9 * rng.normal(size=(len(names), d)))


def desk_of(
    seed: int = 0, *, blurred: str = "", noise: float = 1.2, thin: Sequence[str] = (), **more: Any
) -> Workbench:
    """Train, holdout and a release with the same groups; the rows of one may be noised, of others left out."""
    rng = np.random.default_rng(seed)
    names = np.repeat(list(SIZES), list(SIZES.values()))
    made = names[~np.isin(names, list(thin))]
    release = rows(rng, made)
    release[made == blurred] += noise * rng.normal(size=(int((made == blurred).sum()), D))
    groups = np.concatenate([names, names, made])
    other = np.where(np.arange(len(groups)) % 2 == 0, "even", "odd")
    return bench(
        rows(rng, names),
        rows(rng, names),
        release,
        groups={"kind": groups, "side": other},
        labels=groups,
        label="kind",
        **more,
    )


def at(found: Found, field: str, column: str = "", value: str | None = None) -> Measurement:
    return found[field, ((column, value),) if column else ()]


@pytest.fixture(scope="module")
def calm() -> Found:
    return measured(subgroup_fidelity, desk_of(2))


def test_every_cell_is_compared_at_the_same_n(calm: Found) -> None:
    cells = [m for (field, group), m in calm.items() if field == "precision" and m.estimate is not None]
    assert len(cells) == 5  # a, b, c, even, odd
    (n,) = {tuple(m.n.items()) for m in cells}
    assert LEAST <= dict(n)["reference"] <= min(130, MOST)
    for m in cells:
        assert m.floor is not None
        assert m.floor.draws == 10
        assert m.floor.low - 0.1 <= m.estimate.value <= m.floor.high + 0.1  # type: ignore[union-attr]


def test_the_kernel_distance_takes_all_rows_of_the_cell() -> None:
    bench_ = desk_of()
    plan = plan_cells(bench_, ("kind",))
    cell = next(c for c in plan.compared if str(c) == "kind=b")
    found = likeness(bench_, plan, cell, 5)
    assert found is not None
    sides = [s.features[s.group("kind") == "b"] for s in (bench_.reference, bench_.candidate)]
    real = bench_.real.features[bench_.real.group("kind") == "b"]
    centre, spread = real.mean(0), real.var(0).mean() ** 0.5
    alone = kernel_distance_between(*((side - centre) / spread for side in sides))
    assert found.values[0] == pytest.approx(alone.value, rel=1e-9)
    assert 1.96 * found.errors[0] == pytest.approx(alone.high - alone.value, rel=1e-3)
    view = bench_.resplit(3)
    again = likeness(view, plan, cell, 5)
    assert again is not None
    sides = [s.features[s.group("kind") == "b"] for s in (view.reference, view.candidate)]
    assert again.values[0] == pytest.approx(
        kernel_distance_between(*((side - centre) / spread for side in sides)).value, rel=1e-7
    )
    assert set(again.errors) == {0.0}


def test_a_cell_of_just_equal_n_equals_the_four_quantities_of_its_rows() -> None:
    rng = np.random.default_rng(1)
    parts = [rng.normal(size=(100, 3)) for _ in range(3)]
    bench_ = bench(*parts, groups={"g": np.repeat("x", 300)})
    plan = plan_cells(bench_, ("g",))
    cells = [likeness(bench_, plan, cell, 5) for cell in plan.compared]
    assert plan.equal == 70
    assert cells[0] is not None
    draws = [
        balls_between(parts[1][rng.permutation(100)[:70]], parts[2][rng.permutation(100)[:70]], 5).values
        for _ in range(40)
    ]
    np.testing.assert_allclose(cells[0].values[1:], np.mean(draws, 0), atol=3 * np.std(draws, 0).max())


def test_the_noised_group_is_found_while_the_whole_hardly_moves(calm: Found) -> None:
    bad = desk_of(2, blurred="c")
    found = measured(subgroup_fidelity, bad)
    gap, excess = at(found, "gap"), at(found, "excess").estimate
    assert gap.reason.startswith("worst: kind=c")
    assert excess is not None
    assert excess.low > 0
    assert at(found, "worst", "kind").reason == "worst: kind=c"
    slope = at(found, "slope", "kind").estimate
    assert slope is not None
    assert slope.high < 0  # small groups are worse off
    fine = at(calm, "excess").estimate
    assert fine is not None
    assert fine.low <= 0 <= fine.high
    whole = measured(kernel_distance, bad)["excess", ()].estimate
    assert whole is not None
    assert whole.value < 0.15  # what the default policy lets pass
    rows_ = [row for row in gap.evidence[0].rows if row[0] == "kind=c"]
    assert len(rows_) == 3
    names = {int(row[1]) for row in rows_}
    assert all(bad.corpus.groups["kind"][name] == "c" for name in names)


@pytest.mark.parametrize("by", ["density", "coverage"])
def test_groups_may_be_compared_in_other_quantities(by: str) -> None:
    bench_ = desk_of(3, blurred="b", noise=2.0)
    found = {(m.field, m.group): m for m in measure(subgroup_fidelity, bench_, subgroup_fidelity.configure({"by": by}))}
    assert at(found, "worst", "kind").reason == "worst: kind=b"
    floor = at(found, "worst", "side").floor
    assert floor is not None
    assert abs(floor.value) < 0.1


def test_the_null_of_coverage_is_the_published_one() -> None:
    assert coverage_of_real_rows(1000, 5) == pytest.approx(0.96898, abs=5e-6)
    assert coverage_of_real_rows(10, 1) == pytest.approx(1 - 9 / 19)


def test_small_groups_are_too_few_to_say_and_tell_no_count(calm: Found) -> None:
    hidden = measured(by_class, desk_of(small_cell=20))
    for field in FIELDS:
        m = at(calm, field, "kind", "d")
        assert (m.status, m.estimate, m.decidable) == ("not_assessable", None, False)
        assert m.reason == "too few to say: 5 synthetic rows, and 60 on each side are needed"
        assert at(hidden, field, "kind", "d").reason == "too few to say: fewer than 20 real rows"
    assert at(calm, "gap").status == "measured"


def test_one_class_alone_has_no_gap() -> None:
    found = measured(by_class, desk_of(thin=("b", "c")))
    assert at(found, "worst").status == "measured"
    assert at(found, "gap").status == "not_assessable"
    assert "fewer than two groups" in at(found, "gap").reason
    assert "0 synthetic rows" in at(found, "precision", "kind", "c").reason


def test_classes_of_one_size_have_no_slope() -> None:
    rng = np.random.default_rng(4)
    labels = np.tile(["x", "y"], 600)
    found = measured(by_class, bench(*(rng.normal(size=(400, 3)) for _ in range(3)), labels=labels, label="kind"))
    assert at(found, "slope").status == "not_applicable"
    assert at(found, "worst").headline
    entries = at(found, "worst").panels[0].data["entries"]
    assert {entry["label"] for entry in entries} == {"kind=x", "kind=y"}


def test_rows_of_one_source_widen_the_intervals() -> None:
    rng = np.random.default_rng(5)
    parts = [np.repeat(rng.normal(size=(80, 3)), 5, 0) + 1e-3 * rng.normal(size=(400, 3)) for _ in range(3)]
    widths = []
    for clusters in (None, np.arange(1200) // 5):
        found = measured(by_class, bench(*parts, labels=np.repeat("x", 1200), label="kind", clusters=clusters))
        e = at(found, "kernel_distance", "kind", "x").estimate
        assert e is not None
        widths.append(e.high - e.low)
    assert 1.8 < widths[1] / widths[0] < 2.7


def test_bad_input_is_one_sentence() -> None:
    rng = np.random.default_rng(6)
    many = np.arange(900).astype(str)
    found = measured(subgroup_fidelity, bench(*(rng.normal(size=(300, 2)) for _ in range(3)), groups={"id": many}))
    assert "600 values" in at(found, "gap", "id").reason
    assert at(found, "gap").status == "not_assessable"
    assert not [m for m in found.values() if m.status == "error"]
    with pytest.raises(MetricError, match="give 1 to"):
        list(by_class.values(desk_of(), {"k": 50}))
    tiny = bench(*(rng.normal(size=(12, 2)) for _ in range(3)), labels=np.repeat("x", 36), label="kind")
    assert at(measured(by_class, tiny), "worst").status == "not_assessable"
    same = bench(*(np.ones((200, 2)) for _ in range(3)), labels=np.repeat("x", 600), label="kind")
    assert at(measured(by_class, same), "precision", "kind", "x").estimate.value == 1  # type: ignore[union-attr]


def test_same_seed_same_values() -> None:
    one, other = (measured(by_class, desk_of(7)) for _ in range(2))
    assert [(m.estimate, m.floor) for m in one.values()] == [(m.estimate, m.floor) for m in other.values()]


@pytest.mark.slow
def test_faithful_groups_rarely_alarm_and_their_intervals_hold() -> None:
    """Twenty faithful releases: the gap's excess alarms in few of them, and each cell's interval holds its floor."""
    alarms, held = 0, []
    for seed in range(20):
        found = measured(subgroup_fidelity, desk_of(100 + seed))
        excess = at(found, "excess").estimate
        assert excess is not None
        alarms += excess.low > 0
        for field in FIELDS:
            for value in "abc":
                m = at(found, field, "kind", value)
                assert m.estimate is not None
                assert m.floor is not None
                spare = 2 * m.floor.spread / np.sqrt(m.floor.draws)
                held.append(m.estimate.low - spare <= m.floor.value <= m.estimate.high + spare)
    assert alarms <= 3
    assert np.mean(held) > 0.92
