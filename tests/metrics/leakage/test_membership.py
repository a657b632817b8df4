"""Membership attacks against written-out formulas; leaks are found, honest releases and ties are not accused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured, normal_rows, three
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from scipy.stats import rankdata

import counterproof as cp
from counterproof.metrics.leakage._membership.attacked_records import Targets, select_targets
from counterproof.metrics.leakage._membership.attacks import attack_scores, available_attacks
from counterproof.metrics.leakage._membership.domias import density_ratio
from counterproof.metrics.leakage._membership.evaluation import SplitScores, broken_ranks, split_and_score
from counterproof.metrics.leakage.membership import exposed_records, membership
from counterproof.metrics.metric import Value
from counterproof.metrics.shared.principal_axes import on_pooled_axes
from counterproof.metrics.statistics.auc import area_estimate, smallest_area
from counterproof.metrics.workbench import NEIGHBOURS, Workbench

Frames = dict[str, pd.DataFrame]
Key = tuple[str, tuple[tuple[str, str | None], ...]]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def values(bench: Workbench, **options: Any) -> dict[Key, Value]:
    return {(v.field, v.group): v for v in membership.values(bench, membership.configure(options))}


def area(found: dict[Key, Value], attack: str = "") -> float:
    made = found["value", (("attack", attack),) if attack else ()].estimate
    assert made is not None
    return made.value


def smote(train: pd.DataFrame, n: int, seed: int = 0) -> pd.DataFrame:
    """Rows between a training row and one of its five nearest."""
    rng, rows = np.random.default_rng(seed), train.to_numpy()
    at = rng.integers(0, len(rows), n)
    near = np.argsort(cdist(rows[at], rows), axis=1)[np.arange(n), rng.integers(1, 6, n)]
    return pd.DataFrame(rows[at] + rng.random((n, 1)) * (rows[near] - rows[at]), columns=train.columns)


def smoted(n: int, seed: int) -> Frames:
    frames = three(normal_rows, n, seed)
    return frames | {"synthetic": smote(frames["train"], n, seed)}


# -- attacks ---------------------------------------------------------------------------------------


def test_scores_are_those_of_the_formulas() -> None:
    bench = desk(sources=smoted(150, 1))
    targets = select_targets(bench, 5000)
    scores = attack_scores(bench, targets)
    known, release = targets.reference.features, bench.release.features
    assert len(targets.sample) == 300
    query = targets.sample.features
    to_release, among = cdist(query, release), cdist(query, known)
    among[np.arange(300), targets.own] = np.inf
    local = np.sort(among, axis=1)
    assert_allclose(scores["nearest"], -to_release.min(1), rtol=1e-9)
    assert_allclose(scores["ratio"], -to_release.min(1) / local[:, :5].mean(1), rtol=1e-9)
    width = np.median(local[:, 0]) / 2
    narrow = [logsumexp(-(np.sort(d, axis=1)[:, :5] ** 2) / (2 * width**2), axis=1) for d in (to_release, local)]
    assert_allclose(scores["narrow_density"], narrow[0] - narrow[1], rtol=1e-7, atol=1e-7)
    mixed = bench.corpus.mixed
    assert mixed is not None
    gower = np.minimum(np.abs(mixed.numeric[targets.sample.rows][:, None] - mixed.numeric[bench.release.rows]), 1)
    assert_allclose(scores["columns"], -gower.mean(2).min(1), rtol=1e-6)


def test_density_is_the_ratio_of_two_kernel_densities() -> None:
    bench = desk(sources=smoted(120, 2))
    targets = select_targets(bench, 5000)
    axes = [on_pooled_axes(bench, sample, 4) for sample in (targets.reference, bench.release)]
    centre, scale = axes[0].mean(0), axes[0].std(0)
    known, release = ((rows - centre) / scale for rows in axes)
    width = 120 ** (-1 / 8)
    kernels = [-(cdist(known, base) ** 2) / (2 * width**2) for base in (release, known)]
    np.fill_diagonal(kernels[1], -np.inf)
    expected = logsumexp(kernels[0], axis=1) - np.log(120) - logsumexp(kernels[1], axis=1) + np.log(239)
    assert_allclose(density_ratio(bench, targets), expected[targets.own], atol=1e-4)
    small = desk(sources=smoted(120, 2), memory_mb=16)
    assert_allclose(density_ratio(small, select_targets(small, 5000)), density_ratio(bench, targets), atol=1e-5)


def test_scores_do_not_see_who_is_a_member() -> None:
    frames = smoted(150, 3)
    turned = frames | {"train": frames["holdout"], "holdout": frames["train"]}
    found = []
    for sources in (frames, turned):
        bench = desk(sources=sources)
        targets = select_targets(bench, 5000)
        order = np.lexsort(targets.sample.features.T)
        scores = attack_scores(bench, targets)
        found.append({name: scores[name][order] for name in scores if name != "classifier"})  # it draws its folds
    for name, scores in found[0].items():
        assert_allclose(scores, found[1][name], rtol=1e-5, atol=1e-9, err_msg=name)


def test_wide_features_are_not_summed_column_by_column() -> None:
    rng = np.random.default_rng(0)
    wide = {role: rng.normal(size=(60, 300)) for role in ("train", "holdout", "synthetic")}
    assert "columns" not in available_attacks(desk(sources=wide))
    narrow = {role: rows[:, :6] for role, rows in wide.items()}
    bench = desk(sources=narrow)
    targets = select_targets(bench, 5000)
    city = cdist(targets.sample.features, bench.release.features, "cityblock").min(1)
    assert_allclose(attack_scores(bench, targets)["columns"], -city, rtol=1e-9)


# -- the protocol ----------------------------------------------------------------------------------


def test_halves_choose_and_count_apart() -> None:
    bench = desk(sources=smoted(400, 4))
    targets = select_targets(bench, 5000)
    split = split_and_score(bench, targets, attack_scores(bench, targets))
    for half in (split.choosing, ~split.choosing):
        assert (half & split.member).sum() == (half & ~split.member).sum() == 200
    found = values(bench)
    judged = ~split.choosing
    for name in split.attacks:
        scores = split.scores[name]
        rank = rankdata(scores[judged])
        u = rank[split.member[judged]].sum() - 200 * 201 / 2
        assert area(found, name) == pytest.approx(u / 200**2)
    best = max(split.scores, key=lambda name: split.area(name, split.choosing))
    assert area(found) == area(found, best)
    assert repr(best) in found["value", ()].reason


def test_thresholds_let_through_what_they_say() -> None:
    rng = np.random.default_rng(0)
    member = np.repeat([True, False], 1000)
    choosing = np.tile([True, False], 1000)
    scores = np.round(rng.normal(size=2000) + member, 1)
    made = SplitScores(
        member=member, choosing=choosing, scores={"a": scores}, rank={"a": broken_ranks(scores, rng.random(2000))}
    )
    for share in (0.002, 0.01, 0.1):
        found = made.guesses("a", made.threshold("a", share), choosing)
        assert found.wrong == int(share * 500)
        assert found.members == found.others == 500
        assert found.right > found.wrong


def test_tied_scores_tell_nothing() -> None:
    """By position members stand first: a stable sort would call them all."""
    frames = three(normal_rows, 2000, 5)
    frames["synthetic"] = frames["synthetic"].iloc[[0] * 2000].reset_index(drop=True)
    bench = desk(sources=frames)
    targets = select_targets(bench, 5000)
    tied = {"tied": np.zeros(len(targets.member))}
    split = split_and_score(bench, targets, tied)
    found = split.guesses(*split.sharpest(0.01), ~split.choosing)
    assert split.area("tied", ~split.choosing) == 0.5
    assert found.right < 30
    assert found.wrong < 30
    collapsed = values(bench)["value", ()].estimate
    assert collapsed is not None
    assert collapsed.low < 0.5 < collapsed.high


def test_perfect_separation_of_a_few_is_not_certain() -> None:
    made = area_estimate(np.arange(40.0), np.arange(40) >= 20, 0.95)
    assert made.value == made.high == 1.0
    assert 0.9 < made.low < 0.95
    assert smallest_area(100, 100) > smallest_area(1000, 1000) > 0.5


def test_the_floor_is_a_half_and_costs_no_new_search() -> None:
    bench = desk(sources=smoted(400, 6))
    first = values(bench)
    searches = len(list(bench.work.results(NEIGHBOURS)))
    found = measured(membership, bench)
    assert len(list(bench.work.results(NEIGHBOURS))) == searches
    floor = found["value", ()].floor
    assert floor is not None
    assert abs(floor.value - 0.5) < 0.03
    assert 0.01 < floor.spread < 0.04
    assert found["value", ()].estimate == first["value", ()].estimate, "same seed, same numbers"


# -- what is found ---------------------------------------------------------------------------------


def test_smote_is_told_and_fresh_rows_are_not() -> None:
    for seed in range(3):
        found = values(desk(sources=smoted(1000, 20 + seed)))["value", ()]
        fresh = values(desk(sources=three(normal_rows, 1000, 20 + seed)))["value", ()]
        assert found.estimate is not None
        assert fresh.estimate is not None
        assert found.estimate.low > 0.65
        assert fresh.estimate.high < 0.58
        assert not fresh.evidence


def test_a_release_of_smote_fails_membership_and_holds_no_copies() -> None:
    record = cp.audit(**smoted(1200, 7), metrics=["leakage.membership", "leakage.copies"])
    verdicts = {gate.metric: gate.verdict for gate in record.gates}
    assert verdicts["leakage.membership"] == "fail"
    assert record["leakage.copies"].value == 0
    assert "stand in the release" not in record["leakage.copies"].alarm, "near is not equal"


def test_a_fresh_release_passes_and_nobody_is_called_safe() -> None:
    record = cp.audit(**three(normal_rows, 1000, 8), metrics=["leakage.membership"])
    assert record.verdict == "pass"
    told = " ".join(r.reason for r in record.measurements).lower()
    assert "no leak found by these attacks at this power" in told
    assert not any(word in told for word in ("private", "safe", "anonymous"))


def test_evidence_names_the_records_that_are_told_best() -> None:
    frames = three(normal_rows, 800, 9)
    rng = np.random.default_rng(0)
    exposed = rng.permutation(800)[:400]
    frames["synthetic"].iloc[:400] = frames["train"].iloc[exposed].to_numpy() + 1e-4 * rng.normal(size=(400, 4))
    listed = values(desk(sources=frames))["value", ()].evidence[0]
    assert len(listed.rows) == 200, "all that are exposed, up to a bound"
    assert "exposes" in listed.title
    assert all(int(row[0]) in exposed and int(row[1]) < 400 for row in listed.rows)
    assert all(exposed[int(row[1])] == int(row[0]) for row in listed.rows)
    assert not listed.shows_real


def test_rates_at_few_false_alarms_want_a_thousand_non_members() -> None:
    few = values(desk(sources=three(normal_rows, 500, 10)))
    for field, least in (("tpr_at_1", "1000"), ("tpr_at_01", "10000")):
        assert few[field, ()].status == "not_assessable"
        assert "with 250 non-members" in few[field, ()].reason
        assert least in few[field, ()].reason
    frames = three(normal_rows, 2000, 10)
    frames["synthetic"].iloc[:200] = frames["train"].iloc[:200].to_numpy()
    many = values(desk(sources=frames))["tpr_at_1", ()]
    assert many.estimate is not None
    assert 0.06 < many.estimate.value < 0.16
    assert "false alarms" in many.reason


def test_groups_and_the_isolated_have_their_own_areas() -> None:
    frames = three(normal_rows, 1500, 11)
    for frame in frames.values():
        far = np.arange(len(frame)) < 75
        frame.loc[far, list("abcd")] *= 6
        frame["group"] = np.where(far, "far", "near")
    frames["synthetic"].iloc[:75] = frames["train"].iloc[:75].to_numpy()
    frames["synthetic"].loc[:74, list("abcd")] += 0.01
    found = values(desk(sources=frames, groups=["group"]))
    far, near = (found["value", (("group", name),)].estimate for name in ("far", "near"))
    isolated = found["isolated", ()].estimate
    assert far is not None
    assert near is not None
    assert isolated is not None
    assert far.low > 0.75
    assert near.low < 0.5 < near.high
    assert isolated.value > area(found) + 0.1


def test_small_groups_say_too_little() -> None:
    frames = three(normal_rows, 300, 12)
    for role, frame in frames.items():
        frame["group"] = np.where(np.arange(300) < (3 if role != "synthetic" else 9), "rare", "usual")
    rare = values(desk(sources=frames, groups=["group"]))["value", (("group", "rare"),)]
    assert rare.status == "not_assessable"
    assert not rare.decidable
    assert rare.reason.startswith("too few rows: fewer than 10 real rows")
    shown = values(desk(sources=frames, groups=["group"], show_real=True))["value", (("group", "rare"),)]
    assert shown.reason.startswith("too few rows: 20 members")


# -- few records, and filters -----------------------------------------------------------------------


def filtered(n: int, seed: int, radius: float) -> Frames:
    """Fresh rows, without those within a radius of a training row: three even columns."""
    rng = np.random.default_rng(seed)
    train, holdout, made = (rng.normal(size=(size, 3)) for size in (n, n, 4 * n))
    made = made[cdist(made, train).min(1) > radius][:n]
    columns = list("abc")
    return {
        role: pd.DataFrame(rows, columns=columns)
        for role, rows in (("train", train), ("holdout", holdout), ("synthetic", made))
    }


def test_a_release_filtered_by_distance_fails() -> None:
    frames = filtered(1000, 0, 0.22)
    found = values(desk(sources=frames))["value", ()]
    assert found.alarm.startswith("training records lie farther from the release than others do")
    assert area(values(desk(sources=frames))) > 0.6, "the direction is chosen too"
    assert area(values(desk(sources=frames)), "nearest") < 0.4
    record = cp.audit(**frames, metrics=["leakage.membership"])
    assert record.verdict == "fail"
    assert "the release was filtered by distance" in record.because


def test_thirty_verbatim_rows_of_three_thousand_are_exposed_by_name() -> None:
    frames = three(normal_rows, 3000, 21)
    rows = np.random.default_rng(0).permutation(3000)[:30]
    frames["synthetic"].iloc[:30] = frames["train"].iloc[rows].to_numpy()
    found = values(desk(sources=frames))["value", ()]
    assert "these training records are exposed" in found.alarm
    assert found.estimate is not None
    assert found.estimate.low < 0.5 < found.estimate.high, "an average sees nothing of it"
    assert {int(row[0]) for row in found.evidence[0].rows} >= set(rows.tolist())


def test_the_tops_of_rankings_alarm_within_their_level() -> None:
    """Membership dealt anew, over and over: the tests are exact for any release, here one of few values."""
    rng = np.random.default_rng(0)
    scores = {"coarse": rng.integers(0, 40, 400).astype(float), "fine": rng.normal(size=400)}
    alarms, ps = 0, []
    for _ in range(1500):
        member = rng.permutation(np.arange(400) < 200)
        split = SplitScores(member=member, choosing=member, scores=scores, rank={})
        found = exposed_records(split)
        alarms += found.found
        ps.append(min(1.0, 4 * found.threshold.p))
    assert alarms <= 8  # P(X > 8) = 0.002 at 0.0015
    assert np.mean(np.array(ps) <= 0.1) <= 0.12


# -- who is attacked -------------------------------------------------------------------------------


def selected(frames: Frames, **run: Any) -> Targets:
    return select_targets(desk(sources=frames, **run), 5000)


def test_twins_and_oversampled_rows_tell_no_membership() -> None:
    frames = three(normal_rows, 300, 13)
    frames["holdout"].iloc[:50] = frames["train"].iloc[:50].to_numpy()
    found = select_targets(desk(sources=frames), 5000)
    assert found.side == 250
    assert "100 real rows have twins" in found.remark
    frames = three(normal_rows, 300, 13)
    frames["train"] = pd.concat([frames["train"]] * 3, ignore_index=True)
    doubled = desk(sources=frames)
    assert select_targets(doubled, 5000).side == 300
    made = values(doubled)["value", ()].estimate
    assert made is not None
    assert made.low < 0.5 < made.high


def test_members_are_matched_and_capped() -> None:
    frames = three(normal_rows, 400, 14)
    frames["holdout"] = frames["holdout"].iloc[:100]
    found = selected(frames)
    assert found.side == 100
    assert len(found.sample) == 200
    assert len(found.reference) == 500
    assert "100 of 400 members and 100 of 100 non-members attacked" in found.remark
    capped = select_targets(desk(sources=three(normal_rows, 400, 14)), 50)
    assert capped.side == 50
    assert len(capped.reference) == 800


def test_rows_of_one_source_are_attacked_together() -> None:
    frames = three(normal_rows, 400, 15)
    for role, frame in frames.items():
        frame["pid"] = [f"{role}{i // 4}" for i in range(400)]
    frames["holdout"].loc[:3, "pid"] = "train0"
    bench = desk(sources=frames, cluster="pid")
    found = select_targets(bench, 5000)
    assert found.side == 99
    assert "1 sources stand in train and holdout and were left out" in found.remark
    assert np.bincount(found.unit).tolist() == [4] * 198
    scores = np.arange(len(found.sample), dtype=float)
    assert found.of_units(scores).tolist() == [scores[found.unit == unit].max() for unit in range(198)]
    made = values(bench)["value", ()].estimate
    assert made is not None
    assert made.low < 0.5 < made.high


# -- bad input -------------------------------------------------------------------------------------


def test_without_a_holdout_it_cannot_be_assessed() -> None:
    frames = three(normal_rows, 300, 16)
    record = cp.audit(train=frames["train"], synthetic=frames["synthetic"], metrics=["leakage.membership"])
    assert record["leakage.membership"].status == "not_assessable"
    assert "without holdout rows" in record["leakage.membership"].reason
    assert record.verdict == "inconclusive"


def test_a_holdout_that_is_the_training_table_leaves_nobody_to_attack() -> None:
    frames = three(normal_rows, 300, 17)
    frames["holdout"] = frames["train"].copy()
    found = values(desk(sources=frames))
    assert list(found) == [("value", ())]
    assert found["value", ()].status == "not_assessable"
    assert found["value", ()].reason == (
        "0 members and as many non-members can be attacked, and 40 of each are needed; 600 real rows have twins "
        "and tell nothing"
    )


@pytest.mark.parametrize(("n", "status"), [(39, "not_assessable"), (40, "measured"), (41, "measured")])
def test_forty_of_each_are_needed(n: int, status: str) -> None:
    found = values(desk(sources=three(normal_rows, n, 18)))
    assert found["value", ()].status == status
    assert all(v.status == "not_assessable" for (field, _), v in found.items() if field not in ("value",))


def odd(kind: str) -> Frames:
    frames = three(normal_rows, 200, 19)
    if kind == "wide":
        return {role: normal_rows(200, at, [f"c{i}" for i in range(300)]) for at, role in enumerate(frames)}  # type: ignore[arg-type]
    if kind == "large release":
        frames["synthetic"] = normal_rows(4000, 3)
    if kind == "tiny release":
        frames["synthetic"] = normal_rows(3, 3)
    for role, frame in list(frames.items()):
        if kind == "constant":
            frame["k"] = 1
            frame["s"] = "same"
        if kind == "ids":
            frame["id"] = [f"{role}-{i:05d}" for i in range(len(frame))]
        if kind == "coarse":
            frames[role] = frame[["a"]].round()
    return frames


@pytest.mark.parametrize("kind", ["wide", "large release", "tiny release", "constant", "ids"])
def test_odd_tables_are_attacked_like_any(kind: str) -> None:
    found = values(desk(sources=odd(kind)))["value", ()]
    assert found.estimate is not None
    assert found.estimate.low < 0.5 < found.estimate.high
    assert found.n["release"] == {"large release": 4000, "tiny release": 3}.get(kind, 200)


def test_a_table_of_few_values_has_nobody_to_tell() -> None:
    found = values(desk(sources=odd("coarse")))["value", ()]
    assert found.status == "not_assessable"
    assert "have twins and tell nothing" in found.reason


def test_too_few_records_asked_for_is_one_sentence() -> None:
    options = {"leakage.membership": {"records": 5}}
    with pytest.raises(cp.Refusal, match="option records = 5: Input should be greater than or equal to 40"):
        cp.audit(**three(normal_rows, 200, 20), metrics=["leakage.membership"], options=options)
