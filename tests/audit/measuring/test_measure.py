"""The engine on metrics made up for it: floors, anchors, excess, crashes, and what cannot be asked."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured, normal_rows, three
from helpers.workbenches import bench as bench_of

import counterproof as cp
from counterproof.measuring.measure import HALVED, crash, excess, measure, null_floors, what_is_missing
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Floor, Measurement
from counterproof.metrics.metric import ENTRY_POINTS, Metric, Needs, Tolerance, Value, installed, metric
from counterproof.metrics.workbench import Workbench
from counterproof.refusal import Refusal
from counterproof.run import choose, not_imported
from counterproof.state import count_audit

Z = 1.959963984540054
T19, T8 = 2.093024054408263, 2.306004135033371  # Student's 97.5 % points: a spread of few draws is uncertain


def estimate(value: float, error: float = 0.1) -> Estimate:
    return Estimate.normal(value, error)


def made(function: Callable[..., Iterator[Value]], **more: Any) -> Metric:
    return metric(**({"id": "acme.thing", "family": "fidelity"} | more))(function)


def a_bench(seed: int = 0, n: int = 40) -> Workbench:
    rng = np.random.default_rng(seed)
    return bench_of(rng.normal(size=(n, 3)), rng.normal(size=(n, 3)), rng.normal(size=(n, 3)) + 1)


def means(bench: Workbench) -> Iterator[Value]:
    gap = float(bench.candidate.features[:, 0].mean() - bench.reference.features[:, 0].mean())
    yield Value(estimate=estimate(gap))


# -- excess ----------------------------------------------------------------------------------------


def reading(value: float, error: float, *, floor: float, spread: float, **more: Any) -> Measurement:
    null = Floor(value=floor, low=floor - Z * spread, high=floor + Z * spread, spread=spread, draws=20)
    return Measurement(metric="acme.thing", estimate=estimate(value, error), floor=null, headline=True, **more)


def ends(m: Measurement) -> tuple[float, float, float]:
    assert m.estimate is not None
    return m.estimate.value, m.estimate.low, m.estimate.high


def test_excess_is_value_less_floor_with_the_larger_error() -> None:
    narrow = excess(reading(0.5, 0.01, floor=0.2, spread=0.03), anchored=False)
    assert ends(narrow) == pytest.approx((0.3, 0.3 - T19 * 0.03, 0.3 + T19 * 0.03))
    wide = excess(reading(0.5, 0.04, floor=0.2, spread=0.03), anchored=False)
    assert ends(wide) == pytest.approx((0.3, 0.3 - Z * 0.04, 0.3 + Z * 0.04))
    assert (narrow.field, narrow.headline, narrow.better) == ("excess", False, "lower")
    assert narrow.floor is None


def test_excess_of_what_should_be_high_is_a_loss() -> None:
    skewed = replace(
        reading(0.7, 0.0, floor=0.9, spread=0.0, better="higher"), estimate=Estimate(value=0.7, low=0.5, high=0.75)
    )
    found = excess(skewed, anchored=False)
    assert ends(found) == pytest.approx((0.2, 0.15, 0.4))
    assert found.better == "lower"


def test_anchored_excess_is_on_the_scale_of_what_was_destroyed() -> None:
    found = excess(reading(0.5, 0.1, floor=0.1, spread=0.02, anchor=2.1), anchored=True)
    assert ends(found) == pytest.approx((0.2, 0.2 - Z * 0.05, 0.2 + Z * 0.05))
    assert found.unit == "of the anchor"


@pytest.mark.parametrize("anchor", [0.15, None, -1.0])
def test_an_anchor_no_higher_than_the_floor_is_no_scale(anchor: float | None) -> None:
    found = excess(reading(0.5, 0.1, floor=0.1, spread=0.02, anchor=anchor), anchored=True)
    assert (found.status, found.estimate) == ("not_assessable", None)
    assert "there is no scale" in found.reason


def test_independent_columns_ask_nothing_of_a_release_as_near_as_real_rows() -> None:
    near = excess(reading(0.15, 0.1, floor=0.1, spread=0.02, anchor=0.15), anchored=True)
    assert (near.status, near.estimate) == ("not_applicable", None)
    assert (
        near.reason
        == "shuffled columns can hardly be told from real rows here, and the release is as near as real rows"
    )
    far = excess(reading(0.17, 0.1, floor=0.1, spread=0.02, anchor=0.15), anchored=True)
    assert far.status == "not_assessable"


@pytest.mark.parametrize("value", [0.1, 5.0])
def test_one_column_has_no_joint_structure(value: float) -> None:
    found = excess(reading(value, 0.1, floor=0.1, spread=0.02, anchor=2.1), anchored=True, columns=1)
    assert (found.status, found.estimate) == ("not_applicable", None)
    assert found.reason == "one column has no joint structure; see column distributions"
    assert excess(reading(value, 0.1, floor=0.1, spread=0.02), anchored=False, columns=1).status == "measured"


def test_tables_of_one_column_or_of_independent_ones_can_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))

    def one(n: int, seed: int) -> pd.DataFrame:
        return normal_rows(n, seed, "a")

    def independent(n: int, seed: int) -> pd.DataFrame:
        return pd.DataFrame(np.random.default_rng(seed).normal(size=(n, 3)), columns=list("abc"))

    metrics = ["fidelity.kernel_distance", "fidelity.frechet_distance"]
    for make in (one, independent):
        frames = three(make, 600, 3)
        gates = cp.audit(**frames, metrics=metrics).gates
        assert {gate.verdict for gate in gates if gate.field == "excess"} == {"not_applicable"}
    frames["synthetic"]["c"] = frames["synthetic"]["a"]
    assert {gate.verdict for gate in cp.audit(**frames, metrics=metrics).gates} == {"inconclusive"}


def test_excess_of_other_fields_carries_their_name_and_no_alarm() -> None:
    other = replace(reading(0.5, 0.1, floor=0.1, spread=0.1, alarm="a fact"), field="lost", headline=False)
    found = excess(other, anchored=False)
    assert (found.field, found.alarm) == ("lost_excess", "")


def test_excess_of_cells_is_made_where_a_gate_asks_for_it() -> None:
    def cells(bench: Workbench) -> Iterator[Value]:
        yield from means(bench)
        yield Value(group=(("column", "x"),), estimate=estimate(0.3))

    with_cells = made(cells, tolerances=[Tolerance("excess", "<=", 0.1, "test", cells=True)])
    assert ("excess", (("column", "x"),)) in measured(with_cells, a_bench())
    assert ("excess", (("column", "x"),)) not in measured(made(cells), a_bench())
    assert ("excess", ()) in measured(made(cells), a_bench())


# -- floors ----------------------------------------------------------------------------------------


def test_the_floor_is_mean_and_spread_over_the_re_splits() -> None:
    bench = a_bench()
    floor = measured(made(means), bench)["value", ()].floor
    drawn = []
    for draw in range(20):
        view = bench.resplit(draw)
        assert not set(view.reference.rows) & set(view.candidate.rows)
        assert set(view.reference.rows) | set(view.candidate.rows) == set(bench.real.rows)
        drawn.append(view.candidate.features[:, 0].mean() - view.reference.features[:, 0].mean())
    assert floor is not None
    assert (floor.value, floor.spread, floor.draws) == pytest.approx((np.mean(drawn), np.std(drawn, ddof=1), 20))
    reach = T19 * floor.spread
    assert (floor.low, floor.high) == pytest.approx((floor.value - reach, floor.value + reach))


def test_halves_shrink_by_the_root_of_one_half_about_nought() -> None:
    def halves(bench: Workbench) -> Iterator[Value]:
        gap = float(bench.synthetic_train.features[:, 0].mean() - bench.learning.features[:, 0].mean())
        yield Value(estimate=estimate(gap))

    bench = a_bench(n=60)
    floor = null_floors(made(halves, null="halves", draws=8), bench, {})["value", ()]
    views = [bench.halves(draw) for draw in range(8)]
    drawn = [v.synthetic_train.features[:, 0].mean() - v.learning.features[:, 0].mean() for v in views]
    assert math.sqrt(0.5) == HALVED
    assert (floor.value, floor.draws) == (0.0, 8)
    about_nought = math.sqrt(np.mean(np.square(drawn)))  # the mean is known: no degree of freedom is spent on it
    assert floor.spread == pytest.approx(about_nought * math.sqrt(0.5))
    assert floor.high == pytest.approx(T8 * floor.spread)
    for view in views:
        assert len(view.learning) == len(view.synthetic_train) == 30
        assert not set(view.learning.rows) & set(view.synthetic_train.rows)
        assert set(view.learning.rows) | set(view.synthetic_train.rows) == set(bench.learning.rows)


def test_the_spread_of_halves_is_that_of_models_of_all_rows() -> None:
    def sums(bench: Workbench) -> Iterator[Value]:
        yield Value(estimate=estimate(float(bench.synthetic_train.features.mean() - bench.learning.features.mean())))

    rng = np.random.default_rng(0)
    n, spreads = 100, []
    for _ in range(30):
        bench = bench_of(rng.normal(size=(n, 1)), rng.normal(size=(n, 1)), rng.normal(size=(n, 1)))
        spreads.append(null_floors(made(sums, null="halves"), bench, {})["value", ()].spread)
    assert np.mean(spreads) == pytest.approx(math.sqrt(2 / n), rel=0.1)


def test_membership_deals_train_and_holdout_anew_against_the_same_release() -> None:
    bench = a_bench()
    view = bench.membership(3)
    assert view.train is not None
    assert view.holdout is not None
    assert bench.train is not None
    assert set(view.train.rows) | set(view.holdout.rows) == set(bench.real.rows)
    assert len(view.train) == len(bench.train)
    assert set(view.train.rows) != set(bench.train.rows)
    assert view.release is bench.release


def test_membership_without_a_holdout_has_no_floor() -> None:
    rng = np.random.default_rng(0)
    alone = bench_of(rng.normal(size=(20, 2)), None, rng.normal(size=(20, 2)))
    assert null_floors(made(means, null="membership"), alone, {}) == {}


def test_a_metric_without_a_null_has_no_floor_and_no_excess() -> None:
    found = measured(made(means, null="none"), a_bench())
    assert set(found) == {("value", ())}
    assert found["value", ()].floor is None


def test_the_anchor_permutes_columns_and_keeps_their_margins() -> None:
    seen = []

    def spy(bench: Workbench) -> Iterator[Value]:
        if bench.draw == -1:
            seen.append(bench.candidate.features)
        yield Value(estimate=estimate(2.0 if bench.draw == -1 else 0.5 if bench.draw is None else 0.01 * bench.draw))

    bench = a_bench()
    found = measured(made(spy, anchored=True), bench)
    assert found["value", ()].anchor == 2.0
    floor = np.mean(0.01 * np.arange(20))
    assert ends(found["excess", ()])[0] == pytest.approx((0.5 - floor) / (2.0 - floor))
    (permuted,) = seen
    assert (permuted != bench.reference.features).any()
    assert (np.sort(permuted, axis=0) == np.sort(bench.reference.features, axis=0)).all()


# -- what goes wrong -------------------------------------------------------------------------------

SECRET = "Jane Doe, 4111 1111 1111 1111"


def raising(bench: Workbench) -> Iterator[Value]:
    yield from means(bench)
    raise KeyError(SECRET)


def raising_on_re_splits(bench: Workbench) -> Iterator[Value]:
    if bench.is_null:
        raise ValueError(SECRET)
    yield from means(bench)


@pytest.mark.parametrize("function", [raising, raising_on_re_splits])
def test_a_crash_is_one_measurement_without_data_in_it(function: Callable[..., Iterator[Value]]) -> None:
    (found,) = measure(made(function, headline="gap"), a_bench(), {})
    assert (found.status, found.field, found.headline, found.estimate) == ("error", "gap", True, None)
    assert SECRET not in repr(found)
    kind = "KeyError" if function is raising else "ValueError"
    assert found.reason.startswith(f"{kind} in test_measure.py, line ")
    assert found.reason.endswith(f", {function.__name__}")


def test_what_a_metric_says_itself_is_told() -> None:
    with pytest.raises(MetricError) as raised:
        raise MetricError("models must be linear or boosting")
    assert crash(raised.value).endswith(": models must be linear or boosting")


def nothing(bench: Workbench) -> Iterator[Value]:
    yield from ()


def test_a_metric_that_yields_nothing_is_an_error() -> None:
    (found,) = measure(made(nothing), a_bench(), {})
    assert found.status == "error"
    assert found.reason.endswith("acme.thing yielded nothing")


def test_a_value_without_estimate_or_reason_is_an_error() -> None:
    (found,) = measure(made(lambda bench: iter([Value()]), null="none"), a_bench(), {})
    assert (found.status, found.reason) == ("error", "the metric yielded no estimate and no reason")


@pytest.mark.parametrize(
    "broken",
    [
        Estimate(value=math.nan, low=0, high=1),
        Estimate(value=0, low=-math.inf, high=1),
        Estimate(value=0, low=0, high=math.nan),
    ],
)
def test_numbers_that_are_not_finite_are_errors_of_their_own_place(broken: Estimate) -> None:
    def partly(bench: Workbench) -> Iterator[Value]:
        yield from means(bench)
        yield Value(field="other", group=(("g", "x"),), estimate=broken)

    found = measured(made(partly), a_bench())
    bad = found["other", (("g", "x"),)]
    assert (bad.status, bad.estimate, bad.headline) == ("error", None, False)
    assert bad.reason == "the metric yielded a number that is not finite"
    assert found["value", ()].status == "measured"
    (alone,) = measure(made(lambda bench: iter([Value(estimate=broken)])), a_bench(), {})
    assert (alone.status, alone.field, alone.headline) == ("error", "value", True)


def test_an_interval_without_ends_says_nothing_and_is_no_crash() -> None:
    endless = Estimate.normal(0.5, math.inf)
    (found,) = measure(made(lambda bench: iter([Value(estimate=endless, alarm="a fact")])), a_bench(), {})
    assert (found.status, found.estimate, found.alarm) == ("not_assessable", None, "a fact")
    assert found.reason == "the rows are too few, or too alike, to tell how sure the value is"


def test_nan_on_some_re_splits_does_not_poison_the_floor() -> None:
    def patchy(bench: Workbench) -> Iterator[Value]:
        odd = bench.draw is not None and bench.draw % 2
        yield Value(estimate=estimate(math.nan if odd else 1.0))

    floor = measured(made(patchy), a_bench())["value", ()].floor
    assert floor is not None
    assert (floor.value, floor.draws) == (1.0, 10)


def test_a_crash_keeps_the_other_metrics(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))
    fine = made(means, id="acme.fine", null="none")
    bad = made(raising, id="acme.bad", tolerances=[Tolerance("value", "<=", 9, "test")])
    monkeypatch.setattr("counterproof.run.choose", lambda *_: [fine, bad, replace(fine, id="acme.last")])
    record = cp.audit(**three(normal_rows, 30, 0))
    assert [(r.metric, r.status) for r in record.measurements] == [
        ("acme.fine", "measured"),
        ("acme.bad", "error"),
        ("acme.last", "measured"),
    ]
    assert record.verdict == "error"
    assert SECRET not in record.to_json()
    assert [entry.metric for entry in record.not_assessed] == ["acme.bad"]


def test_what_leaves_a_full_gpu_plans_its_resplits_on_the_cpu() -> None:
    planned: list[str] = []

    def crowded(bench: Workbench) -> Iterator[Value]:
        if bench.device != "cpu":
            bench.resplit(0)  # as other metrics did before: the store knows the view on the GPU
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        if bench.is_null:
            planned.append(bench.measured.device)
        yield Value(estimate=estimate(bench.candidate.features.mean()))

    there = replace(a_bench(), device="cuda")
    found = measured(made(crowded), there)["value", ()]
    assert found.reason == "the device ran out of memory: measured on the CPU"
    assert planned == ["cpu"] * 20
    here = measured(made(crowded), a_bench())["value", ()]
    assert (found.estimate, found.floor) == (here.estimate, here.floor)
    assert there.resplit(0).measured.device == "cuda"


def test_a_broken_metric_of_somebody_else_stops_no_audit_that_did_not_ask_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))
    broken = EntryPoint("acme.broken", "no_such_module:thing", ENTRY_POINTS)
    for known in ({"acme.broken": broken}, {"acme.broken": broken, "leakage.broken": broken}):
        found = {**installed(), **known}
        for place in ("counterproof.run", "counterproof.metrics.metric"):
            monkeypatch.setattr(f"{place}.installed", lambda found=found: found)
        assert [m.id for m in choose(["fidelity.marginals"])] == ["fidelity.marginals"]
        assert not_imported(["fidelity.marginals"]) == []
        assert {m.family for m in choose(["coverage", "utility"])} == {"coverage", "utility"}
        (told,) = not_imported(["coverage"])
        assert told.startswith("acme.broken (no_such_module:thing) cannot be imported: ")
        assert told.endswith(": not measured")
    record = cp.audit(**three(normal_rows, 30, 0), metrics=["utility"])
    assert told in record.manifest.findings
    for asked in ([], ["acme.broken"], ["leakage"]):
        with pytest.raises(Refusal, match=r"broken.*cannot be imported"):
            choose(asked)


def test_every_measurement_says_how_it_was_made() -> None:
    def with_option(bench: Workbench, *, k: int = 3) -> Iterator[Value]:
        yield from means(bench)

    declared = made(with_option, algo=7, needs=Needs(smallest_n=11), unit="m")
    for found in measure(declared, a_bench(), declared.configure({"k": 5})):
        assert (found.algo, dict(found.params), found.smallest_n, found.unit) == (7, {"k": 5}, 11, "m")
        assert found.protocol == "arrays"
        assert found.seconds > 0
        assert found.n == {"reference": 40, "candidate": 40}


def test_options_are_checked_before_anything_is_measured() -> None:
    def with_option(bench: Workbench, *, k: int = 3) -> Iterator[Value]:
        yield from means(bench)

    with pytest.raises(MetricError, match=r"acme\.thing has no option 'q'; it has k"):
        made(with_option).configure({"q": 1})
    with pytest.raises(MetricError, match="option k = 'many'"):
        made(with_option).configure({"k": "many"})


# -- what cannot be asked --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needs", "state"),
    [
        (Needs(), None),
        (Needs(modalities=frozenset({"image"})), "not_applicable"),
        (Needs(label=True), "not_applicable"),
        (Needs(groups=True), "not_applicable"),
        (Needs(holdout=True), None),
    ],
)
def test_what_is_missing(needs: Needs, state: str | None) -> None:
    found = what_is_missing(made(raising, needs=needs), a_bench())
    assert (found and found[0]) == state


@pytest.mark.parametrize("missing", ["holdout", "train"])
def test_leakage_needs_both_roles(missing: str) -> None:
    frames = three(normal_rows, 40, 1)
    del frames[missing]
    (found,) = measure(made(raising, needs=Needs(holdout=True)), desk(sources=frames), {})
    assert found.status == "not_assessable"
    assert found.reason == f"without {missing} rows, leakage cannot be told from likeness"


def test_a_label_that_is_a_quantity_is_named() -> None:
    frames = three(lambda n, seed: normal_rows(n, seed, "abcy"), 80, 1)
    found = what_is_missing(made(means, needs=Needs(label=True)), desk(sources=frames, label="y"))
    assert found is not None
    assert found[0] == "not_applicable"


def test_given_labels_and_groups_are_enough() -> None:
    def labelled(n: int, seed: int) -> pd.DataFrame:
        return normal_rows(n, seed).assign(y=list("ab") * (n // 2), g=list("uuvv") * (n // 4))

    bench = desk(sources=three(labelled, 40, 1), label="y", groups=["g"])
    assert what_is_missing(made(means, needs=Needs(label=True, groups=True, holdout=True)), bench) is None


# -- the ledger ------------------------------------------------------------------------------------


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def counted(folder: Any, holdout: str, release: str) -> int:
    return count_audit(folder, digest(holdout), digest(release))[0]


def test_the_ledger_counts_distinct_releases_of_one_holdout(tmp_path: Any) -> None:
    assert [counted(tmp_path, "h", release) for release in ("a", "b", "a", "c", "c")] == [1, 2, 2, 3, 3]
    assert counted(tmp_path, "other", "a") == 1
    assert counted(tmp_path, "h", "a") == 3


@pytest.mark.parametrize("text", ["h", "not a ledger", "{h} a b c", "\x00 h", "{h}\n{h}", "{h} {a}x", "\ufffd"])
def test_a_damaged_ledger_is_said_before_the_audit_and_never_counts_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, text: str
) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))
    line = text.format(h=digest("h"), a=digest("a"))
    (tmp_path / "audits.txt").write_text(f"{digest('h')} {digest('b')}\n{line}\n", encoding="utf-8")
    with pytest.raises(Refusal, match="line 2 of the ledger of audits is damaged"):
        counted(tmp_path, "h", "a")
    with pytest.raises(Refusal, match="damaged"):
        cp.audit(**three(normal_rows, 30, 0), metrics=["fidelity.precision"])


def test_an_open_line_at_the_end_of_the_ledger_is_another_audits(tmp_path: Any) -> None:
    (tmp_path / "audits.txt").write_text(f"\n{digest('h')} {digest('b')}\n\n{digest('h')}", encoding="utf-8")
    assert counted(tmp_path, "h", "b") == 1


def test_parallel_audits_lose_no_count(tmp_path: Any) -> None:
    note = (
        "import sys; from hashlib import sha256; from pathlib import Path; from counterproof.state import count_audit\n"
        "of = lambda name: sha256(name.encode()).hexdigest()\n"
        "for at in range(25): count_audit(Path(sys.argv[1]), of('h'), of(f'{sys.argv[2]}{at}'))"
    )
    runs = [subprocess.Popen([sys.executable, "-c", note, str(tmp_path), name]) for name in "abcd"]
    assert [run.wait() for run in runs] == [0] * 4
    assert counted(tmp_path, "h", "last") == 101


def test_a_ledger_that_cannot_be_written_stops_nothing_and_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    count, remark = count_audit(tmp_path / "file", digest("h"), digest("a"))
    assert (count, remark.endswith(": this audit was not counted")) == (1, True)
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path / "file"))
    record = cp.audit(**three(normal_rows, 30, 0), metrics=["fidelity.precision"])
    assert any("this audit was not counted" in finding for finding in record.manifest.findings)


def test_the_record_counts_the_releases(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))
    monkeypatch.setattr("counterproof.run.choose", lambda *_: [made(means, null="none")])
    frames = three(normal_rows, 30, 0)
    again = frames | {"synthetic": normal_rows(30, 99)}
    counts = [cp.audit(**f).manifest.audits_of_holdout for f in (frames, frames, again, frames)]
    assert counts == [1, 1, 2, 2]
