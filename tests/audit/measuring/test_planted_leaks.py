"""Controls: planted rows are what they claim, metrics that see them have power, and blind ones pass nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.records import desk, measured, normal_rows, three
from helpers.workbenches import bench
from numpy.testing import assert_allclose

import counterproof as cp
from counterproof.measuring.controls import least_number
from counterproof.measuring.measure import measure
from counterproof.measuring.planted_leaks import planted
from counterproof.metrics.engine.nearest_neighbours import gower_neighbours, nearest
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.leakage.copies import copies
from counterproof.metrics.leakage.rare_values import rare_values
from counterproof.metrics.metric import Metric, Needs, Plant, Tolerance, Value, metric
from counterproof.metrics.statistics.exact_tests import fewest
from counterproof.metrics.workbench import Workbench
from counterproof.reports.outputs.html import render
from counterproof.reports.outputs.markdown import markdown
from counterproof.reports.outputs.terminal import plain_lines

K = 10


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))


def mixed(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "job": rng.choice(list("abcdefgh"), n),
            "income": np.round(rng.lognormal(10, 1, n)),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, n), unit="D"),
            "score": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "who": [f"{seed}-{i // 2}" for i in range(n)],
        }
    )


def table(n: int = 500, **options: Any) -> Workbench:
    frames = three(mixed, n, 0)
    if "cluster" not in options:
        frames = {role: frame.drop(columns="who") for role, frame in frames.items()}
    return desk(sources=frames, **options)


def arrays(n: int = 500) -> Workbench:
    rng = np.random.default_rng(1)
    return desk(sources={role: rng.normal(size=(n, 8)) for role in ("train", "holdout", "synthetic")})


def told(metric: Metric, made: Workbench) -> dict[str, list[str]]:
    return {m.field: [c.told for c in m.controls] for m in measure(metric, made, metric.configure({})) if not m.group}


def view(made: Workbench, kind: Plant) -> Workbench:
    found = planted(made, kind, K)
    assert found is not None
    return found


# -- what is planted -------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [table, arrays])
def test_copies_are_distinct_training_records(make: Any) -> None:
    made = make()
    new = view(made, "copies").release
    assert len(new) == len(made.release) + K
    assert made.train is not None
    assert np.isin(new.digests[-K:], made.train.digests).all()
    assert len(np.unique(new.digests[-K:])) == K
    assert_allclose(new.features[:-K], made.release.features)


def test_near_copies_of_a_table_keep_categories_and_move_numbers_a_little() -> None:
    made = table()
    new = view(made, "near_copies")
    assert not np.isin(new.release.digests[-K:], made.corpus.digests).any()
    for row in new.release.frame.tail(K).to_dict("records"):
        train = made.corpus.frame.iloc[made.train.rows]  # type: ignore[union-attr]
        same = train[(train["job"] == row["job"]) & ((train["age"] - row["age"]).abs() < 4)]
        same = same[((same["since"] - row["since"]).abs() < pd.Timedelta(days=60))]
        assert len(same)
    assert new.release.frame.dtypes.equals(made.release.frame.dtypes)


def test_near_copies_of_features_lie_three_hundredths_of_a_deviation_away() -> None:
    made = arrays()
    new = view(made, "near_copies").release.features[-K:]
    assert made.train is not None
    distance = nearest(new, made.train.features, 1).distance[:, 0]
    assert distance.mean() == pytest.approx(0.03 * np.sqrt(8), rel=0.3)


def test_rare_values_stand_once_in_train_and_else_nowhere() -> None:
    made = table()
    before, new = made.corpus.frame, view(made, "rare_values").release.frame.tail(K)
    assert before is not None
    train = before.iloc[made.train.rows]  # type: ignore[union-attr]
    lone = [
        [(train[name] == value).sum() == 1 and (before[name] == value).sum() == 1 for value in new[name]]
        for name in ("income", "score")
    ]
    assert np.any(np.all(lone, axis=1))


def test_sources_are_of_different_clusters() -> None:
    made = view(table(cluster="who"), "copies")
    clusters = made.corpus.clusters
    assert clusters is not None
    assert len(np.unique(clusters[made.release.rows[-K:]])) == K


@pytest.mark.parametrize("kind", ["copies", "near_copies", "rare_values"])
def test_neighbours_of_the_planted_view_are_those_of_a_new_search(kind: Plant) -> None:
    for made in (table(200), arrays(200)):
        assert made.train is not None
        for gower in (False, True):  # what the planted view reads
            made.neighbours(made.train, made.release, 5, gower=gower)
            made.neighbours(made.release, made.train, 5, gower=gower)
            made.neighbours(made.release, made.release, 5, gower=gower)
        new = view(made, kind)
        assert new.train is not None
        for gower in (False, True):
            for query, base in ((new.train, new.release), (new.release, new.train), (new.release, new.release)):
                own = np.arange(len(base)) if query is base else None
                grown = new.neighbours(query, base, 5, gower=gower)
                if gower and new.varying is not None:
                    alone = gower_neighbours(new.varying, query.rows, base.rows, 5, own=own)
                else:
                    alone = nearest(query.features, base.features, 5, own=own)
                assert_allclose(grown.distance, alone.distance, atol=1e-9)


def test_a_filtered_release_lacks_the_rows_nearest_to_train_and_its_lists_are_those_of_a_new_search() -> None:
    for made in (table(200), arrays(200)):
        assert made.train is not None
        for gower in (False, True):
            made.neighbours(made.real, made.release, 6, gower=gower)
        new = view(made, "filtered")
        assert len(new.release) == len(made.release) - K
        gone = np.setdiff1d(made.release.rows, new.release.rows)
        near = nearest(made.train.features, made.release.features, 1)
        closest = made.release.rows[near.index[np.argsort(near.distance[:, 0]), 0]]
        assert set(gone) == set(list(dict.fromkeys(closest.tolist()))[:K])
        for gower in (False, True):
            shrunk = new.neighbours(new.real, new.release, 6, gower=gower)
            if gower and new.varying is not None:
                alone = gower_neighbours(new.varying, new.real.rows, new.release.rows, 6)
            else:
                alone = nearest(new.real.features, new.release.features, 6)
            assert_allclose(shrunk.distance, alone.distance, atol=1e-9)


def test_the_same_seed_plants_the_same() -> None:
    one, other = (view(table(), "near_copies").release.frame for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


# -- what metrics make of it -----------------------------------------------------------------------


@pytest.mark.parametrize(("make", "near"), [(table, 11), (arrays, 10)])  # tables have three spaces to pay for
def test_copies_are_seen_by_the_metric_that_claims_to(make: Any, near: int) -> None:
    found = told(copies, make(1000))
    assert found["value"] == ["detected 10 planted copies"]
    (told_near,) = found["near"]
    plain, drawn = told_near.split("; ")
    assert plain == f"detected {near} planted near copies"
    assert drawn.startswith(f"near copies of {4 * near} rows drawn at random (")
    assert "of a standard deviation detected" in drawn


def test_the_ladder_ends_where_near_copies_can_no_longer_be_told() -> None:
    """Noise of half a deviation hides a copy among its neighbours; a search that sees only equals sees no rung."""

    def searching(radius: float) -> Metric:
        @metric(id="leakage.within", family="leakage", title="t", controls={"near_copies": "value"}, null="none")
        def within(bench: Workbench) -> Iterator[Value]:
            assert bench.train is not None
            real, made = bench.train.features, bench.release.features
            apart = np.sqrt(((made[:, None] - real[None]) ** 2).sum(2)).min(1)
            share = float((apart <= radius).mean())
            yield Value(estimate=Estimate(value=share, low=share, high=share), claims={"near_copies": 5})

        return within

    made = arrays(150)
    (near,) = told(searching(0.2), made)["value"]  # 8 columns: noise of 0.05 lies 0.14 away, of 0.1 about 0.28
    assert near.startswith(
        "detected 5 planted near copies; near copies of 20 rows drawn at random (11.8% of the release) with noise of "
    )
    assert near.endswith("of 5.0% of a standard deviation detected, missed with 10.0%") or near.endswith(
        "of 10.0% of a standard deviation detected"
    )
    assert told(searching(0.0), made)["value"] == ["missed 5 and 20 planted near copies"]


@pytest.mark.parametrize("noise", [0.005, 0.02, 0.1])
def test_near_copies_at_random_move_as_far_as_they_are_told_to(noise: float) -> None:
    made = arrays()
    grown = planted(made, "near_copies", K, noise=noise)
    assert grown is not None
    assert made.train is not None
    new, real = grown.release.features[-K:], made.train.features
    apart = np.sqrt(((new[:, None] - real[None]) ** 2).sum(2)).min(1)
    spread = made.real.features.std(0)
    assert apart == pytest.approx(noise * np.sqrt((spread**2).sum()), rel=0.6)


def test_rare_values_are_seen() -> None:
    assert told(rare_values, desk(sources=three(normal_rows, 500, 0)))["value"] == ["detected 10 planted rare values"]


def test_images_are_planted_too() -> None:
    rng = np.random.default_rng(2)
    pictures = rng.integers(0, 255, (3, 60, 16, 16, 3), dtype=np.uint8)
    made = desk(sources=dict(zip(("train", "holdout", "synthetic"), pictures, strict=True)))
    found = told(copies, made)
    assert found["value"] == ["detected 10 planted copies"]
    assert found["near"][0].startswith("detected ")
    assert planted(made, "rare_values", 2) is None


def test_a_dull_metric_is_tried_again_with_more() -> None:
    rng = np.random.default_rng(0)
    three_columns = {
        role: pd.DataFrame({c: rng.choice(list("abcdefghijklmnopqrst"), 1000) for c in "xyz"})
        for role in ("train", "holdout", "synthetic")
    }
    assert told(copies, desk(sources=three_columns))["value"] == [
        "missed 10, detected 40 planted copies"
    ]  # matches by chance hide ten


def test_what_cannot_be_planted_is_said() -> None:
    made = desk(sources={"train": mixed(40, 0), "holdout": mixed(2, 1), "synthetic": mixed(40, 2)})
    assert "value" in told(copies, made)
    assert told(copies, made)["value"] == [], "what cannot be shown is not assessable"


def test_a_release_that_sets_the_alarm_off_needs_no_plants() -> None:
    tables = three(normal_rows, 500, 0)
    tables["synthetic"] = tables["train"].copy()
    assert told(copies, desk(sources=tables))["value"] == ["no copies planted: the release itself sets off the alarm"]


def test_as_many_are_planted_as_two_searches_can_tell() -> None:
    made = arrays(500)
    assert least_number(made) == fewest([500, 500], 0.001) == 10
    assert least_number(replace(made, holdout=None)) is None


def declared(see: float, *, controls: Any = ("copies",), **more: Any) -> Metric:
    """A metric that sees this much of what is added to a release of 300 rows."""

    @metric(
        id="acme.seeing",
        family="leakage",
        null="none",
        needs=Needs(),
        tolerances=(Tolerance("value", "<=", 0.5, "half of it"),),
        controls=controls,
    )
    def seeing(made: Workbench) -> Iterator[Value]:
        """What is seen."""
        if more.get("breaks") and len(made.release) > 300:
            raise KeyError("secret cell")
        added = see * (len(made.release) - 300)
        yield Value(estimate=Estimate(value=added, low=added - 0.1, high=added + 0.1), claims=more.get("claims", {}))

    return seeing


def audit(own: Metric, **run: Any) -> Any:
    return cp.audit(**three(normal_rows, 300, 0), metrics=[own], **run)


def test_a_blind_metric_passes_nothing_and_every_output_says_so() -> None:
    record = audit(declared(0.0))
    assert record.verdict == "inconclusive"
    sentence = "missed 10 and 40 planted copies"
    assert sentence in record.because
    assert record["acme.seeing"].controls[0].found is False
    with pytest.raises(AssertionError, match="INCONCLUSIVE, blind"):
        assert record["acme.seeing"] <= 0.5
    for output in (render(record), markdown(record), "\n".join(plain_lines(record))):
        assert "blind" in output
        assert sentence in output


def test_a_metric_that_sees_passes_and_every_output_says_so() -> None:
    record = audit(declared(1.0))
    assert record.verdict == "pass"
    assert record["acme.seeing"] <= 0.5
    for output in (render(record), markdown(record)):
        assert "detected 10 planted copies" in output


def test_a_metric_is_held_to_its_own_claim() -> None:
    assert audit(declared(1.0, claims={"copies": 3}))["acme.seeing"].controls[0].told == "detected 3 planted copies"


def test_a_metric_that_breaks_down_is_blind_and_quotes_no_data() -> None:
    record = audit(declared(1.0, breaks=True))
    assert record.verdict == "inconclusive"
    assert "Seeing is blind on these data: it broke down on 10 planted copies (KeyError)" in record.because
    assert "secret" not in record.to_json()


def test_a_blind_metric_may_still_fail() -> None:
    assert audit(declared(0.0), gates=["acme.seeing <= -1"]).verdict == "fail"


def test_a_field_that_no_control_is_about_stays_as_it_is() -> None:
    found = measured(copies, arrays(1000))
    assert [c.kind for c in found["near", ()].controls] == ["near_copies"]


def test_metrics_without_claims_are_not_tried() -> None:
    assert told(declared(0.0, controls=()), arrays(300))["value"] == []


def test_an_unknown_plant_is_refused() -> None:
    with pytest.raises(MetricError, match="control 'ghosts' is none of copies, near_copies, rare_values"):
        declared(1.0, controls=("ghosts",))


def test_a_bench_without_table_or_train_plants_nothing() -> None:
    rng = np.random.default_rng(0)
    alone = bench(rng.normal(size=(60, 3)), None, rng.normal(size=(30, 3)))
    assert planted(alone, "copies", 3) is None
