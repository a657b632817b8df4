"""Fidelity of classes and groups: equal n, small groups said to be small, the worse group found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.records import measured
from helpers.workbenches import bench

from counterproof.measuring.measure import measure
from counterproof.metrics.engine.mmd import kernel_distance_between
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Measurement
from counterproof.metrics.fairness.subgroup_fidelity import subgroup_fidelity
from counterproof.metrics.fidelity.by_class import by_class
from counterproof.metrics.fidelity.kernel_distance import kernel_distance
from counterproof.metrics.prdc.balls import balls_between
from counterproof.metrics.sample import Floats
from counterproof.metrics.shared.partitions import partition_by
from counterproof.metrics.subgroups.losses import coverage_of_real_rows
from counterproof.metrics.subgroups.plan import LEAST, MOST, plan_cells
from counterproof.metrics.subgroups.scores import FIELDS, group_scores
from counterproof.metrics.subgroups.small_samples import Distances
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


def test_the_cells_of_a_column_are_compared_at_the_same_n(calm: Found) -> None:
    cells = [m for (field, group), m in calm.items() if field == "precision" and m.estimate is not None]
    assert len(cells) == 5  # a, b, c, even, odd
    equal = {m.group[0][0]: dict(m.n) for m in cells}
    assert all(dict(m.n) == equal[m.group[0][0]] for m in cells)
    assert LEAST <= equal["kind"]["reference"] <= 130 - 2 * 130**0.5 + 1
    assert 130 < equal["side"]["reference"] <= MOST
    for m in cells:
        assert m.floor is not None
        assert m.floor.draws == 10
        assert m.floor.low - 0.1 <= m.estimate.value <= m.floor.high + 0.1  # type: ignore[union-attr]


def test_the_kernel_distance_takes_all_rows_of_the_cell() -> None:
    bench_ = desk_of()
    plan = plan_cells(bench_, (partition_by(bench_, ("kind",)),))
    cell = next(c for c in plan.compared if str(c) == "kind=b")
    found = group_scores(bench_, plan, cell, 5)
    assert found is not None
    sides = [s.features[s.group("kind") == "b"] for s in (bench_.reference, bench_.candidate)]
    real = bench_.real.features[bench_.real.group("kind") == "b"]
    centre, spread = real.mean(0), real.var(0).mean() ** 0.5
    alone = kernel_distance_between(*((side - centre) / spread for side in sides))
    assert found.values[0] == pytest.approx(alone.value, rel=1e-9)
    assert 1.96 * found.errors[0] == pytest.approx(alone.high - alone.value, rel=1e-3)
    view = bench_.resplit(3)
    again = group_scores(view, plan, cell, 5)
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
    plan = plan_cells(bench_, (partition_by(bench_, ("g",)),))
    cells = [group_scores(bench_, plan, cell, 5) for cell in plan.compared]
    assert plan.equal == {"g": 80}
    assert cells[0] is not None
    draws = [
        balls_between(parts[1][rng.permutation(100)[:80]], parts[2][rng.permutation(100)[:80]], 5).values
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


@pytest.mark.parametrize("by", ["precision", "recall", "density", "coverage"])
def test_groups_may_be_compared_in_other_quantities(by: str) -> None:
    # Noise leaves the real manifold, and balls of noised rows are too wide to lose real rows: those fall to shrinking.
    bench_ = desk_of(3, blurred="b", noise=2.0) if by != "recall" else shrunk(desk_of(3), "b")
    found = {(m.field, m.group): m for m in measure(subgroup_fidelity, bench_, subgroup_fidelity.configure({"by": by}))}
    assert at(found, "worst", "kind").reason == "worst: kind=b"
    floor = at(found, "worst", "side").floor
    assert floor is not None
    assert abs(floor.value) < 0.1


def shrunk(bench_: Workbench, group: str) -> Workbench:
    """All release rows of a group near its centre: a collapsed mode."""
    inside = bench_.candidate.rows[bench_.candidate.group("kind") == group]
    rows_ = bench_.corpus.features
    rows_[inside] = rows_[inside].mean(axis=0) + 0.3 * (rows_[inside] - rows_[inside].mean(axis=0))
    return bench_


@pytest.mark.parametrize("scale", [0.1, 1.0, 1e4])
def test_distances_kept_give_the_same_balls_as_the_search(scale: float) -> None:
    """On lattices too, where most distances are ties."""
    rng = np.random.default_rng(8)
    for turn in range(20):
        n, m, k = 25 + turn, 45 - turn, 1 + turn % 5
        x, y = (rng.integers(0, 4, size=(rows_, 1 + turn % 4)) * scale + turn / 3 for rows_ in (n, m))
        if turn % 4 == 0:
            x, y = scale * rng.normal(size=(n, 3)), scale * rng.normal(size=(m, 3))
        kept = Distances.between(x, y)
        assert kept.prdc(k) == pytest.approx(balls_between(x, y, k).values, abs=1e-12)
        left, right = rng.permutation(n)[:12], rng.permutation(m)[:13]
        part = balls_between(x[left], y[right], k)
        assert kept.of(left, right).prdc(k) == pytest.approx(part.values, abs=1e-12)
        assert kept.of(left, right).density(k) == pytest.approx(part.density, abs=1e-12)


def test_columns_are_crossed_and_compared_among_themselves() -> None:
    """A flaw in one crossing alone: its margins hardly move."""
    rng = np.random.default_rng(9)
    n = 1200
    left, right = (rng.choice(values, size=3 * n) for values in (["f", "m"], ["x", "y", "z"]))
    right = right.astype("U4")
    right[:4] = "rare"
    parts = [rng.normal(size=(n, 6)) for _ in range(3)]
    bad = (left == "f") & (right == "z")
    parts[2][bad[2 * n :]] += 1.5 * rng.normal(size=(int(bad[2 * n :].sum()), 6))
    found = measured(subgroup_fidelity, bench(*parts, groups={"sex": left, "site": right}, intersections=2))
    both = {group for field, group in found if field == "recall" and len(group) == 2}
    assert both == {(("sex", s), ("site", t)) for s in "fm" for t in "xyz"}
    gap = found["gap", (("sex", None), ("site", None))]
    assert gap.reason.startswith("worst: sex=f, site=z")
    assert gap.floor is not None
    assert found["gap", ()].reason.startswith("worst: sex=f, site=z")
    assert found["gap", ()].estimate.method == "normal, Šidák over 19 pairs"  # type: ignore[union-attr]
    assert found["gap", ()].n == {"reference": n, "candidate": n}
    excess = found["excess", ()].estimate
    assert excess is not None
    assert excess.low > 0
    rare = [m for (_, group), m in found.items() if ("site", "rare") in group and len(group) == 2]
    assert {(m.field, m.status, m.decidable) for m in rare} == {("kernel_distance", "not_assessable", False)}
    assert len(found["gap", ()].panels[0].data["entries"]) == 11


def test_a_cap_on_rows_is_drawn_by_the_seed_and_said() -> None:
    rng = np.random.default_rng(10)
    parts = [rng.normal(size=(2600, 2)) for _ in range(3)]
    made = [
        measured(by_class, bench(*parts, labels=np.repeat("x", 7800), label="kind", seed=seed)) for seed in (0, 0, 1)
    ]
    one, again, other = (at(found, "kernel_distance", "kind", "x") for found in made)
    assert one.reason == "2000 rows a side at most, drawn by the seed"
    assert one.n == {"reference": 2000, "candidate": 2000}
    assert one.estimate == again.estimate != other.estimate


def test_images_show_the_worst_renders_of_each_group_only_when_told_to() -> None:
    for show in (False, True):
        bench_ = desk_of(2, blurred="c", show_real=show)
        pictured = replace(bench_.corpus, thumbnail=lambda at: b"\x89PNG\r\n\x1a\n%d" % at, modality="image")
        sides = {
            name: replace(sample, corpus=pictured)
            for name in ("reference", "candidate", "real", "release", "learning", "test", "synthetic_train")
            if (sample := getattr(bench_, name)) is not None
        }
        panel = at(measured(subgroup_fidelity, replace(bench_, **sides)), "gap").panels[1]
        assert (panel.kind, panel.shows_real, panel.data["redacted"]) == ("pairs", show, not show)
        pairs = panel.data["pairs"]
        assert [pair["note"] for pair in pairs[:3]] == ["kind=c"] * 3
        assert {pair["synthetic_image"] is not None for pair in pairs} == {show}
        assert {pair["real_image"] is not None for pair in pairs} == {show}
        for pair in pairs[:3]:
            assert bench_.corpus.groups["kind"][int(pair["real"])] == "c"


def test_the_null_of_coverage_is_the_published_one() -> None:
    assert coverage_of_real_rows(1000, 5) == pytest.approx(0.96898, abs=5e-6)
    assert coverage_of_real_rows(10, 1) == pytest.approx(1 - 9 / 19)


def test_small_groups_are_too_few_to_say_and_tell_no_count(calm: Found) -> None:
    hidden = measured(by_class, desk_of(small_cell=20))
    for field in FIELDS:
        m = at(calm, field, "kind", "d")
        assert (m.status, m.estimate, m.decidable) == ("not_assessable", None, False)
        assert m.reason == "too few rows: 5 synthetic rows, and 60 on each side are needed"
        assert at(hidden, field, "kind", "d").reason == "too few rows: fewer than 20 real rows"
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
    """Faithful releases: no gap but by luck, and each cell's interval holds its floor; a blurred group is found."""
    alarms, seen, held = 0, 0, []
    for seed in range(20):
        found = measured(subgroup_fidelity, desk_of(100 + seed))
        gap = at(found, "gap").estimate
        assert gap is not None
        alarms += gap.low > 0
        for field in FIELDS:
            for value in "abc":
                m = at(found, field, "kind", value)
                assert m.estimate is not None
                assert m.floor is not None
                spare = 2 * m.floor.spread / np.sqrt(m.floor.draws)
                held.append(m.estimate.low - spare <= m.floor.value <= m.estimate.high + spare)
    for seed in range(10):
        gap = at(measured(subgroup_fidelity, desk_of(100 + seed, blurred="c")), "gap").estimate
        assert gap is not None
        seen += gap.low > 0
    assert alarms <= 1
    assert seen == 10
    assert np.mean(held) > 0.92


# -- the gate ---------------------------------------------------------------------------------------


def fails(found: Found, field: str, column: str) -> bool:
    """Whether the gap fails its tolerance where 40 gates and cells are judged."""
    (tolerance,) = (t for t in subgroup_fidelity.tolerances if t.field == field)
    e = found[field, (("column", column),)].estimate
    assert e is not None
    return e.bound("low", 1 - 0.05 / 40) > tolerance.limit


@pytest.mark.parametrize(
    ("field", "noise"), [("density_gap", 1.2), ("kernel_distance_gap", 2.5)], ids=["density", "kernel distance"]
)
def test_a_group_rendered_worse_fails_and_fresh_rows_do_not(calm: Found, field: str, noise: float) -> None:
    bad = measured(subgroup_fidelity, desk_of(2, blurred="b", noise=noise))
    assert fails(bad, field, "kind")
    assert bad[field, (("column", "kind"),)].reason.startswith("worst: kind=b, best: kind=")
    for column in ("kind", "side"):
        assert not fails(calm, field, column)
        e = calm[field, (("column", column),)].estimate
        assert e is not None
        assert e.low < 0 < e.high
    assert {t.level for t in subgroup_fidelity.tolerances} == {"fail"}


def test_the_gap_beyond_real_rows_is_the_gap_less_that_of_resplits(calm: Found) -> None:
    for field, by in (("density_gap", "density"), ("kernel_distance_gap", "kernel_distance")):
        options = subgroup_fidelity.configure({"by": by})
        found = {(m.field, m.group): m for m in measure(subgroup_fidelity, desk_of(2), options)}
        gap = at(found, "gap", "kind")
        assert gap.estimate is not None
        assert gap.floor is not None
        beyond = calm[field, (("column", "kind"),)]
        assert beyond.estimate is not None
        assert beyond.estimate.value == pytest.approx(gap.estimate.value - gap.floor.value, abs=1e-9)
        assert beyond.expected is not None
        assert 0 < beyond.expected.spread <= beyond.expected.error
        reach = (beyond.estimate.high - beyond.estimate.low) / 2
        assert reach >= 1.95 * beyond.expected.spread


def test_what_a_faithful_release_shows_is_told_by_real_rows_alone(calm: Found) -> None:
    bad = measured(subgroup_fidelity, shrunk(desk_of(2), "b"))
    for field in ("density_gap", "kernel_distance_gap"):
        place = (field, (("column", "kind"),))
        assert bad[place].expected == calm[place].expected


def test_one_group_has_no_gap_beyond_real_rows() -> None:
    rng = np.random.default_rng(11)
    alone = bench(*(rng.normal(size=(200, 3)) for _ in range(3)), groups={"g": np.repeat("x", 600)})
    found = measured(subgroup_fidelity, alone)
    assert (found["density_gap", ()].status, found["density_gap", ()].decidable) == ("not_assessable", False)


@pytest.mark.slow
def test_in_sixty_fresh_draws_no_gap_fails() -> None:
    for seed in range(60):
        found = measured(subgroup_fidelity, desk_of(200 + seed))
        assert not any(
            fails(found, field, column)
            for field in ("density_gap", "kernel_distance_gap")
            for column in ("kind", "side")
        )
