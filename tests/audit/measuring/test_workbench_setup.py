"""Who is held against whom at which size, and which roles are refused."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, normal_rows, three

import counterproof as cp
from counterproof.measuring.contamination import (
    chance_of_sharing,
    check_contamination,
    check_overlap,
    check_sources,
    overlap_of,
)
from counterproof.metrics.sample import Sample
from counterproof.metrics.workbench import Workbench
from counterproof.refusal import Refusal

Frames = dict[str, pd.DataFrame]
NAMES = {role: f"{role}.csv" for role in ("train", "holdout", "test", "synthetic")}


def sizes(bench: Workbench) -> dict[str, int]:
    roles = ("reference", "candidate", "real", "release", "learning", "synthetic_train", "test")
    return {role: len(getattr(bench, role)) for role in roles}


def roles_of(bench: Workbench) -> dict[str, Sample]:
    roles = {"train": bench.train, "holdout": bench.holdout, "synthetic": bench.release}
    return {role: sample for role, sample in roles.items() if sample is not None}


def further_rows(bench: Workbench) -> Sample:
    """The role test: what models are tried on besides the reference."""
    return bench.test.take(np.arange(len(bench.reference), len(bench.test)), "test")


def rows(**counts: int) -> Frames:
    return {role: normal_rows(n, at) for at, (role, n) in enumerate(counts.items())}


def coarse(n: int, seed: int, levels: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({c: rng.choice(list("abcdefghijklmnopqrst")[:levels], n) for c in "xyz"})


# -- sizes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [40, 100, 370])
def test_sizes_are_matched_whatever_the_release(made: int) -> None:
    bench = desk(sources=rows(train=100, holdout=60, synthetic=made))
    assert sizes(bench) == {
        "reference": 60,
        "candidate": min(made, 100),
        "real": 160,
        "release": made,
        "learning": min(100, made),
        "synthetic_train": min(made, 100),
        "test": 60,
    }
    assert bench.train is not None
    assert len(bench.train) == 100
    for draw in (0, 19):
        view = bench.resplit(draw)
        assert (len(view.reference), len(view.candidate)) == (60, min(made, 100))


def test_a_cut_release_is_a_seeded_choice_of_its_rows() -> None:
    frames = rows(train=50, holdout=50, synthetic=200)
    first, again, other = (desk(sources=frames, seed=seed) for seed in (0, 0, 1))
    assert (first.candidate.rows == again.candidate.rows).all()
    assert (first.candidate.rows != other.candidate.rows).any()
    assert len(set(first.candidate.rows)) == 50
    assert set(first.candidate.rows) <= set(first.release.rows)
    assert first.candidate.rows.max() > first.release.rows[100]


def test_models_are_tried_on_all_real_rows_that_none_learned_from() -> None:
    bench = desk(sources=rows(train=50, holdout=40, test=30, synthetic=50))
    assert bench.holdout is not None
    assert len(bench.test) == 40 + 30
    assert set(bench.holdout.rows) < set(bench.test.rows)
    assert not set(bench.test.rows) & (set(bench.learning.rows) | set(bench.release.rows))
    assert len(bench.reference) == 40


@pytest.mark.parametrize("role", ["real", "train", "holdout"])
def test_one_real_role_is_halved(role: str) -> None:
    bench = desk(sources=rows(**{role: 101, "synthetic": 80}))
    assert (len(bench.reference), len(bench.learning), len(bench.candidate)) == (51, 50, 50)
    assert not set(bench.reference.rows) & set(bench.learning.rows)
    assert set(bench.reference.rows) | set(bench.learning.rows) == set(bench.real.rows)
    assert not set(bench.test.rows) & set(bench.learning.rows)
    assert (bench.train is None) == (role != "train")
    assert (bench.holdout is None) == (role != "holdout")
    assert not np.array_equal(np.sort(bench.reference.rows), np.arange(50, 101))


def test_models_are_never_tried_on_rows_they_learned_from() -> None:
    for frames in (
        rows(holdout=80, synthetic=60),
        rows(train=70, holdout=50, synthetic=60),
        rows(real=80, synthetic=9),
    ):
        bench = desk(sources=frames)
        assert not set(bench.test.rows) & set(bench.learning.rows)


def test_two_rows_are_the_least() -> None:
    with pytest.raises(Refusal, match="the holdout rows are 1; an audit needs 2 at least"):
        desk(sources=rows(train=20, holdout=1, synthetic=20))


# -- rows of one source ----------------------------------------------------------------------------


def visits(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return normal_rows(n, seed).assign(patient=[f"{seed}-{k}" for k in np.sort(rng.integers(0, n // 5, n))])


def test_rows_of_one_source_stay_together_in_re_splits() -> None:
    bench = desk(sources=three(visits, 100, 1), cluster="patient")
    clusters = bench.corpus.clusters
    assert clusters is not None
    for draw in range(20):
        view = bench.resplit(draw)
        both = set(clusters[view.reference.rows]) & set(clusters[view.candidate.rows])
        assert len(both) <= 1  # the one at the cut


def test_rows_of_one_source_stay_on_one_side_of_a_halved_reference() -> None:
    frames = {"real": visits(200, 2), "synthetic": visits(100, 3)}
    bench = desk(sources=frames, cluster="patient")
    clusters = bench.corpus.clusters
    assert clusters is not None
    assert not set(clusters[bench.reference.rows]) & set(clusters[bench.learning.rows])
    assert len(bench.reference) == pytest.approx(100, abs=10)
    assert len(bench.reference) + len(bench.learning) == 200


def test_rows_of_one_source_alone_are_still_halved() -> None:
    frames = {"real": normal_rows(20, 0).assign(patient="p"), "synthetic": normal_rows(20, 1).assign(patient="q")}
    bench = desk(sources=frames, cluster="patient")
    assert (len(bench.reference), len(bench.learning)) == (10, 10)


# -- holdout rows in train -------------------------------------------------------------------------


def share(frames: Frames, k: int) -> Frames:
    frames["holdout"].iloc[:k] = frames["train"].iloc[:k].to_numpy()
    return frames


@pytest.mark.parametrize(("train", "holdout"), [(1000, 1000), (4000, 1000), (600, 3000)])
def test_a_tenth_of_shared_rows_is_refused_with_the_count(train: int, holdout: int) -> None:
    k = min(train, holdout) // 10
    bench = desk(sources=share(rows(train=train, holdout=holdout, synthetic=50), k))
    with pytest.raises(Refusal) as refused:
        check_overlap(roles_of(bench), NAMES, allow=False)
    assert str(refused.value).startswith(
        f"holdout.csv: {k} of its {holdout} rows also stand in train (0 would be natural duplicates)"
    )
    assert check_overlap(roles_of(bench), NAMES, allow=True) == [
        f"{k} holdout rows equal a training row; 0 would by the data's own duplicates"
    ]


@pytest.mark.parametrize(("train", "holdout"), [(500, 500), (3000, 300), (300, 3000)])
@pytest.mark.parametrize("levels", [2, 6, 20])
def test_natural_duplicates_are_no_refusal(train: int, holdout: int, levels: int) -> None:
    told = []
    for seed in range(3):
        frames = {
            "train": coarse(train, seed, levels),
            "holdout": coarse(holdout, 100 + seed, levels),
            "synthetic": coarse(20, 200 + seed, levels),
        }
        bench = desk(sources=frames)
        check_overlap(roles_of(bench), NAMES, allow=False)
        found = overlap_of(roles_of(bench)["train"], roles_of(bench)["holdout"])
        records = {role: frame["x"] + frame["y"] + frame["z"] for role, frame in frames.items()}
        assert found.shared == records["holdout"].isin(records["train"]).sum()
        told.append((found.natural, found.shared))
    natural, shared = np.mean(told, axis=0)
    if train <= holdout:
        assert natural == pytest.approx(shared, rel=0.2)
    else:
        assert natural > 0.8 * shared


def test_the_chance_of_sharing_is_that_of_dealing_the_rows_at_random() -> None:
    frames = {"train": coarse(60, 1, 4), "holdout": coarse(40, 2, 4), "synthetic": coarse(10, 3, 4)}
    roles = roles_of(desk(sources=frames))
    train, holdout = roles["train"], roles["holdout"]
    digests = np.concatenate([train.digests, holdout.digests])
    rng = np.random.default_rng(0)

    def on_both_sides(order: np.ndarray) -> int:
        left, right = digests[order[:60]], digests[order[60:]]
        return len(np.intersect1d(left, right))

    seen = on_both_sides(np.arange(100))
    share = np.mean([on_both_sides(rng.permutation(100)) >= seen for _ in range(4000)])
    assert chance_of_sharing(train, holdout) == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize(("k", "refused"), [(6, False), (60, True)])
def test_few_chance_twins_across_the_roles_of_a_coarse_table_are_no_refusal(k: int, refused: bool) -> None:
    frames = {"train": coarse(400, 1, 60), "holdout": coarse(400, 2, 60), "synthetic": coarse(50, 3, 60)}
    roles = roles_of(desk(sources=share(frames, k)))
    assert overlap_of(roles["train"], roles["holdout"]).beyond_chance == refused


def test_shared_rows_beyond_natural_duplicates_are_refused() -> None:
    frames = {"train": coarse(1000, 1, 20), "holdout": coarse(1000, 2, 20), "synthetic": coarse(50, 3, 20)}
    check_overlap(roles_of(desk(sources=frames)), NAMES, allow=False)
    with pytest.raises(Refusal):
        check_overlap(roles_of(desk(sources=share(frames, 250))), NAMES, allow=False)


def test_without_both_roles_there_is_no_overlap() -> None:
    bench = desk(sources=rows(real=50, synthetic=50))
    assert check_overlap(roles_of(bench), NAMES, allow=False) == []


# -- holdout rows in the release -------------------------------------------------------------------


def checked(frames: Frames) -> None:
    bench = desk(sources=frames)
    cut = np.cumsum([0, *(len(frames[r]) for r in ("train", "holdout", "real", "test", "synthetic") if r in frames)])
    assert cut[-1] == len(bench.corpus.names)
    roles = roles_of(bench)
    if "test" in frames:
        roles["test"] = further_rows(bench)
    check_contamination(roles, NAMES)


@pytest.mark.parametrize("role", ["holdout", "test"])
def test_a_release_that_holds_rows_it_must_not_know_is_refused(role: str) -> None:
    frames = rows(train=1000, holdout=1000, test=1000, synthetic=1000)
    checked(frames)
    frames["synthetic"].iloc[:200] = frames[role].iloc[:200].to_numpy()
    told = rf"synthetic\.csv: 200 of 1000 distinct {role} records stand in the release, against 0 of 1000 training"
    with pytest.raises(Refusal, match=told):
        checked(frames)


@pytest.mark.parametrize(("k", "refused"), [(12, False), (25, True)])
def test_a_refusal_takes_more_than_bad_luck(k: int, refused: bool) -> None:
    frames = rows(train=500, holdout=500, synthetic=500)
    frames["synthetic"].iloc[:k] = frames["holdout"].iloc[:k].to_numpy()
    if not refused:  # one chance in 4,000: an audit goes on and the copies are counted
        checked(frames)
        return
    with pytest.raises(Refusal, match=f"{k} of 500 distinct holdout records"):
        checked(frames)


def test_a_record_that_fills_the_holdout_is_one_record() -> None:
    frames = rows(train=300, holdout=300, synthetic=300)
    frames["holdout"].iloc[:200] = frames["holdout"].iloc[0].to_numpy()
    frames["synthetic"].iloc[0] = frames["holdout"].iloc[0].to_numpy()
    checked(frames)


def test_one_holdout_row_repeated_is_one_row() -> None:
    frames = rows(train=1000, holdout=1000, synthetic=1000)
    frames["synthetic"].iloc[:200] = frames["holdout"].iloc[0].to_numpy()
    checked(frames)


def test_a_release_that_copies_train_is_leaky_not_contaminated() -> None:
    frames = rows(train=1000, holdout=1000, synthetic=1000)
    frames["synthetic"].iloc[:500] = frames["train"].iloc[:500].to_numpy()
    checked(frames)


@pytest.mark.parametrize(("train", "holdout"), [(1000, 1000), (2000, 400), (400, 2000)])
def test_natural_matches_are_no_contamination(train: int, holdout: int) -> None:
    for seed in range(6):
        for levels in (6, 14):
            checked(
                {
                    "train": coarse(train, seed, levels),
                    "holdout": coarse(holdout, 50 + seed, levels),
                    "synthetic": coarse(1000, 90 + seed, levels),
                }
            )


def test_without_training_rows_nothing_is_contaminated() -> None:
    frames = rows(holdout=100, synthetic=100)
    frames["synthetic"] = frames["holdout"].copy()
    checked(frames)


def test_samples_point_at_their_own_rows() -> None:
    frames = rows(train=30, holdout=20, test=10, synthetic=25)
    bench = desk(sources=frames)
    by_role: dict[str, Any] = {"holdout": bench.holdout, "train": bench.train, "test": further_rows(bench)}
    for role, sample in {**by_role, "synthetic": bench.release}.items():
        assert isinstance(sample, Sample)
        assert sample.frame["a"].tolist() == pytest.approx(frames[role]["a"].tolist())


def test_a_release_of_train_and_holdout_alike_is_refused() -> None:
    frames = rows(train=400, holdout=400)
    both = pd.concat([frames["train"], frames["holdout"]], ignore_index=True)
    with pytest.raises(Refusal, match="contaminated by holdout rows"):
        checked({**frames, "synthetic": both})
    with pytest.raises(Refusal, match="contaminated by holdout rows"):
        checked({**frames, "synthetic": both.sample(400, random_state=0)})


def test_test_rows_that_stand_in_train_are_refused() -> None:
    frames = rows(train=300, holdout=300, synthetic=300)
    bench = desk(sources={**frames, "test": frames["train"]})
    with pytest.raises(Refusal, match="so it is no test"):
        check_overlap({**roles_of(bench), "test": further_rows(bench)}, NAMES, allow=False)


@pytest.mark.parametrize("n", [60, 100, 160])
def test_a_tenth_of_shared_rows_is_refused_in_small_tables_too(n: int) -> None:
    bench = desk(sources=share(rows(train=n, holdout=n, synthetic=50), n // 10))
    with pytest.raises(Refusal, match="so it is no holdout"):
        check_overlap(roles_of(bench), NAMES, allow=False)


# -- sources of rows --------------------------------------------------------------------------------


def of_sources(first: int, n: int, seed: int) -> pd.DataFrame:
    """Two rows of each source, which resemble each other."""
    rng = np.random.default_rng(seed)
    source = np.repeat(np.arange(first, first + n // 2), 2)
    level = np.random.default_rng(7).normal(size=100_000)[source]
    names = [f"s{at}" for at in source]
    return pd.DataFrame({"source": names, "a": level + rng.normal(size=n), "b": rng.normal(size=n)})


def dealt(first: int, n: int) -> Frames:
    """A holdout whose sources begin at ``first``, where train's begin at 0; the release has others."""
    return {"train": of_sources(0, n, 1), "holdout": of_sources(first, n, 2), "synthetic": of_sources(9000, n, 3)}


@pytest.mark.parametrize(("first", "refused"), [(400, False), (398, False), (200, True), (0, True)])
def test_sources_that_train_shares_with_the_holdout_are_counted_and_refused(first: int, refused: bool) -> None:
    roles = roles_of(desk(sources=dealt(first, 800), cluster="source"))
    shared = 400 - first
    told = f"{shared} of the 400 sources of its rows (cluster 'source') also have rows in train"
    if refused:
        with pytest.raises(Refusal, match=re.escape(told)):
            check_sources(roles, NAMES, allow=False)
        assert check_sources(roles, NAMES, allow=True) == [f"holdout: {told}"]
    else:
        assert check_sources(roles, NAMES, allow=False) == ([f"holdout: {told}"] if shared else [])


def test_an_audit_refuses_shared_sources_and_says_so_where_they_are_allowed() -> None:
    frames = dealt(100, 400)
    with pytest.raises(Refusal, match="100 of the 200 sources"):
        cp.audit(**frames, cluster="source", metrics=["fidelity.marginals"])
    record = cp.audit(**frames, cluster="source", metrics=["fidelity.marginals"], allow_overlap=True)
    assert any("100 of the 200 sources" in text for text in record.manifest.notable)
