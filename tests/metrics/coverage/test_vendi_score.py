"""The Vendi score equals its published values and closed forms; duplicates and lost modes lower it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.records import measured
from helpers.workbenches import bench

from counterproof.metrics.coverage.vendi_score import influences, vendi_of, vendi_of_rows, vendi_score
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate
from counterproof.metrics.sample import Floats
from counterproof.metrics.workbench import Workbench


def clusters(rng: np.random.Generator, n: int, kinds: int = 10, d: int = 32) -> Floats:
    centres = np.random.default_rng(99).normal(size=(10, d))
    return np.asarray(centres[rng.integers(0, kinds, n)] + 0.4 * rng.normal(size=(n, d)))


def ratio(at: Workbench, q: float = 1.0) -> Estimate:
    found = next(vendi_score.values(at, {"q": q})).estimate
    assert found is not None
    return found


def test_published_values() -> None:
    points = np.array([0, 0, 10, 10, 20, 20.0])
    assert vendi_of(np.exp(-abs(points[:, None] - points))) == pytest.approx(2.9999999959, abs=1e-10)
    assert vendi_of(np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])) == pytest.approx(2.1573004834, abs=1e-10)


@pytest.mark.parametrize("q", [0.5, 1.0, 2.0, math.inf])
def test_closed_forms(q: float) -> None:
    assert vendi_of(np.eye(7), q) == pytest.approx(7)
    assert vendi_of(np.ones((7, 7)), q) == pytest.approx(1)
    assert vendi_of_rows(np.repeat(np.eye(5), 9, axis=0), q) == pytest.approx(5)
    two = vendi_of_rows(np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]]), q)
    shares = np.array([0.75, 0.25])
    known = {
        0.5: np.sqrt(shares).sum() ** 2,
        1.0: math.exp(-(shares @ np.log(shares))),
        2.0: 1 / (shares @ shares),
        math.inf: 1 / 0.75,
    }
    assert two == pytest.approx(known[q])


@pytest.mark.parametrize("shape", [(40, 6), (12, 30)])
def test_either_gram_matrix_gives_the_kernels_own(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(0).normal(size=shape)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert vendi_of_rows(rows) == pytest.approx(vendi_of(unit @ unit.T), rel=1e-10)


@pytest.mark.parametrize("shape", [(40, 6), (12, 30)])
@pytest.mark.parametrize("q", [0.5, 1.0, 2.0, math.inf])
def test_influence_is_the_derivative(shape: tuple[int, int], q: float) -> None:
    rows = np.random.default_rng(1).normal(size=shape)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    entropy, moved = influences(rows, q)
    assert entropy == pytest.approx(math.log(vendi_of_rows(rows, q)))
    assert moved.sum() == pytest.approx(0, abs=1e-9)
    step = 1e-5
    for i in (0, 7):
        weights = np.full(len(rows), (1 - step) / len(rows))
        weights[i] += step
        weighted = rows * np.sqrt(len(rows) * weights)[:, None]
        eigenvalues = np.linalg.eigvalsh(weighted @ weighted.T / len(rows))
        kept = eigenvalues[eigenvalues > 1e-12]
        if q == 1:
            nudged = -(kept @ np.log(kept))
        else:
            nudged = -np.log(kept.max()) if math.isinf(q) else np.log((kept**q).sum()) / (1 - q)
        assert (nudged - entropy) / step == pytest.approx(moved[i], rel=2e-3, abs=1e-4)


def test_duplicates_and_lost_modes_lower_it() -> None:
    rng = np.random.default_rng(2)
    train, holdout, fresh = (clusters(rng, 300) for _ in range(3))
    twins = np.repeat(clusters(rng, 10), 30, axis=0)
    fewer = clusters(rng, 300, kinds=6)
    good = ratio(bench(train, holdout, fresh))
    assert good.low <= 1 <= good.high
    for flawed in (twins, fewer):
        bad = ratio(bench(train, holdout, flawed))
        assert bad.high < 0.8
        assert bad.high < good.low


def test_unequal_sizes_are_compared_at_equal_n() -> None:
    rng = np.random.default_rng(3)
    train, holdout = clusters(rng, 900), clusters(rng, 900)
    few = ratio(bench(train, holdout, clusters(rng, 100)))
    assert few.low <= 1 <= few.high
    at = bench(train, holdout, clusters(rng, 100))
    assert next(vendi_score.values(at, {"q": 1.0})).n == {"reference": 100, "candidate": 100}


def test_the_engine_gives_it_a_floor_near_one() -> None:
    rng = np.random.default_rng(4)
    found = measured(vendi_score, bench(*(clusters(rng, 200) for _ in range(3))))
    floor = found["ratio", ()].floor
    assert floor is not None
    assert abs(floor.value - 1) < 0.05
    assert {("release", ()), ("real", ()), ("excess", ())} <= set(found)


def test_the_evidence_names_the_copies() -> None:
    rng = np.random.default_rng(5)
    made = clusters(rng, 200)
    made[:60] = made[0]
    found = next(vendi_score.values(bench(clusters(rng, 200), clusters(rng, 200), made), {"q": 1.0}))
    assert {row[0] for row in found.evidence[0].rows} <= {str(400 + i) for i in range(60)}


def test_rows_of_one_source_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    parts = [np.repeat(clusters(rng, 60), 5, 0) for _ in range(3)]
    plain, grouped = ratio(bench(*parts)), ratio(bench(*parts, clusters=np.arange(900) // 5))
    assert 1.8 < math.log(grouped.high / grouped.low) / math.log(plain.high / plain.low) < 2.7


def test_bad_input_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="ones on its diagonal"):
        vendi_of(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="above 0"):
        vendi_of(np.eye(3), -1)
    at = bench(np.zeros((20, 2)), np.zeros((20, 2)), np.ones((20, 2)))
    with pytest.raises(MetricError, match="above 0"):
        list(vendi_score.values(at, {"q": 0.0}))
    for found in vendi_score.values(at, {"q": 1.0}):
        assert found.status == "not_assessable"
        assert "no direction" in found.reason
    for found in vendi_score.values(bench(np.ones((20, 2)), np.ones((3, 2)), np.ones((20, 2))), {"q": 1.0}):
        assert "four rows" in found.reason


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "n", "d"), [("even", 300, 16), ("decaying", 200, 64), ("kinds", 60, 128)])
def test_the_interval_covers_the_truth(kind: str, n: int, d: int) -> None:
    """Truth: the mean entropy at this n, over all repeats."""
    rng, found = np.random.default_rng(7), []
    for _ in range(300):
        rows = rng.normal(size=(n, d)) if kind == "even" else rng.normal(size=(n, d)) / np.arange(1, d + 1) ** 0.7 + 0.3
        rows = clusters(rng, n, d=d) if kind == "kinds" else rows
        entropy, moved = influences(rows / np.linalg.norm(rows, axis=1, keepdims=True))
        found.append((entropy, moved.std(ddof=1) / math.sqrt(n)))
    entropies, errors = np.array(found).T
    assert (abs(entropies - entropies.mean()) <= 1.96 * errors).mean() >= 0.91
