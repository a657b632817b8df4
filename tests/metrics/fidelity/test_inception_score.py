"""The inception score equals closed forms and the published loop, and its interval holds."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.records import measured
from helpers.workbenches import bench

from counterproof.metrics.errors import MetricError
from counterproof.metrics.fidelity.inception_score import inception_score, probabilities, score
from counterproof.metrics.metric import Value
from counterproof.metrics.sample import Floats, Head
from counterproof.metrics.workbench import Workbench

CLASSES = 6


def head(scale: float = 30.0, bias: float = 0.0) -> Head:
    """A classifier that reads the class off the largest of the features."""
    return Head(
        weight=(scale * np.eye(CLASSES)).astype(np.float32),
        bias=(bias * np.arange(CLASSES)).astype(np.float32),
    )


def published(chances: Floats, splits: int) -> tuple[float, float]:
    """As torch-fidelity computes it on rows in this order: mean and spread over splits."""
    made = []
    for i in range(splits):
        part = chances[i * len(chances) // splits : (i + 1) * len(chances) // splits]
        mean = part.mean(axis=0, keepdims=True)
        divergence = (part * (np.log(part) - np.log(mean))).sum(axis=1)
        made.append(np.exp(divergence.mean()))
    return float(np.mean(made)), float(np.std(made))


def values(at: Workbench, **params: object) -> dict[str, Value]:
    return {v.field: v for v in inception_score.values(at, {"splits": 10, "bias": False, **params})}


def sure(n: int) -> Floats:
    return np.eye(CLASSES)[np.arange(n) % CLASSES]


def test_closed_forms() -> None:
    assert score(np.full((50, CLASSES), 1 / CLASSES)) == pytest.approx(1)
    assert score(np.tile(np.array([0.7, 0.2, 0.1]), (9, 1))) == pytest.approx(1)
    assert score(np.eye(CLASSES)) == pytest.approx(CLASSES)
    at = bench(sure(120), sure(120), sure(120), head=head())
    found = values(at)["value"].estimate
    assert found is not None
    assert found.value == pytest.approx(CLASSES, rel=1e-6)
    same = values(bench(sure(120), sure(120), np.ones((120, CLASSES)), head=head()))["value"].estimate
    assert same is not None
    assert same.value == pytest.approx(1)


def test_against_the_published_loop() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, CLASSES))
    chances = probabilities(rows, head(2.0))
    at = bench(rows, rows, rows, head=head(2.0))
    order = at.candidate.shuffled(at.generator("splits"))
    mean, spread = published(chances[order], 10)
    found = values(at)["splits_mean"]
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(mean, rel=1e-10)
    assert f"{spread:.4g}" in found.reason
    assert score(chances) == pytest.approx(published(chances, 1)[0], rel=1e-10)


def test_the_bias_counts_only_when_asked() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(100, CLASSES))
    tilted = head(1.0, bias=2.0)
    np.testing.assert_allclose(probabilities(rows, tilted), probabilities(rows, head(1.0)))
    logits = rows + 2.0 * np.arange(CLASSES)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities(rows, tilted, bias=True), expected, rtol=1e-10)


def test_huge_logits_stay_finite() -> None:
    chances = probabilities(1e4 * sure(60), head(1e4))
    assert np.isfinite(chances).all()
    assert score(chances) == pytest.approx(CLASSES)


def test_the_floor_is_what_real_rows_score() -> None:
    rng = np.random.default_rng(2)

    def rows(n: int, kinds: int = CLASSES) -> Floats:
        return np.asarray(np.eye(CLASSES)[rng.integers(0, kinds, n)] + 0.1 * rng.normal(size=(n, CLASSES)))

    collapsed = measured(inception_score, bench(rows(300), rows(300), rows(300, 3), head=head(8.0)))
    found, excess = collapsed["value", ()], collapsed["excess", ()].estimate
    assert found.floor is not None
    assert found.estimate is not None
    assert excess is not None
    assert found.estimate.value < 3.1
    assert found.floor.value > 4.5
    assert excess.low > 1


def test_without_a_classifier_it_does_not_apply() -> None:
    for found in values(bench(sure(60), sure(60), sure(60))).values():
        assert (found.status, found.estimate) == ("not_applicable", None)
        assert "classifier" in found.reason


def test_bad_input_is_one_sentence() -> None:
    at = bench(sure(60), sure(60), sure(15), head=head())
    assert values(at)["value"].status == "not_assessable"
    assert "needs 20 rows, not 15" in values(at)["value"].reason
    with pytest.raises(MetricError, match="0 splits"):
        values(at, splits=0)
    with pytest.raises(ValueError, match="features of length 6"):
        probabilities(np.zeros((5, 4)), head())


def test_the_evidence_names_the_vague() -> None:
    made = sure(120) * 1.0
    made[:10] = 1 / CLASSES
    found = values(bench(sure(120), sure(120), made, head=head()))["value"]
    assert {row[0] for row in found.evidence[0].rows} == {str(240 + i) for i in range(10)}


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.05, 0.4])
def test_the_interval_covers_the_truth(noise: float) -> None:
    """Truth: the mean score at this n; evenly sure classes make the first-order error vanish."""
    rng, found = np.random.default_rng(3), []
    for seed in range(200):
        rows = np.eye(CLASSES)[rng.integers(0, CLASSES, 300)] + noise * rng.normal(size=(300, CLASSES))
        e = values(bench(rows, rows, rows, head=head(8.0), seed=seed))["value"].estimate
        assert e is not None
        found.append((e.value, e.low, e.high))
    value, low, high = np.array(found).T
    assert ((low <= value.mean()) & (value.mean() <= high)).mean() >= 0.91
