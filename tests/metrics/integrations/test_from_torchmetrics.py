"""A metric of torchmetrics becomes one of the audit's: same number, an interval, a floor, its own errors."""

from __future__ import annotations

import runpy
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from helpers.staged_models import bench_of, table
from helpers.workbenches import bench
from sklearn.metrics import accuracy_score
from torch import Tensor, nn
from torchmetrics import Metric as Meter
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC, MulticlassCalibrationError
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

import counterproof as cp
from counterproof.measuring.measure import measure
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Estimate, Measurement
from counterproof.metrics.fidelity.frechet_distance import frechet_distance_between
from counterproof.metrics.integrations.from_predictions import from_torchmetrics_of_predictions
from counterproof.metrics.integrations.from_torchmetrics import from_torchmetrics, seeded_torch
from counterproof.metrics.metric import ENTRY_POINTS, Metric, load
from counterproof.metrics.workbench import Workbench


def three(n: int = 300, d: int = 6, shift: float = 0.4, seed: int = 0) -> Workbench:
    rng = np.random.default_rng(seed)
    return bench(rng.normal(size=(n, d)), rng.normal(size=(n, d)), rng.normal(size=(n, d)) + shift)


def fid(**options: Any) -> Metric:
    return from_torchmetrics(
        lambda feature: FrechetInceptionDistance(feature=feature),
        **{"id": "acme.fid", "family": "fidelity", "better": "lower", **options},
    )


def measured(metric: Metric, at: Workbench, **options: Any) -> dict[str, Measurement]:
    return {m.field: m for m in measure(metric, at, metric.configure(options)) if not m.group}


def test_the_value_is_theirs_and_the_engine_does_the_rest() -> None:
    at = three()
    found = measured(fid(), at)
    value, excess = found["value"], found["excess"]
    assert value.estimate is not None
    assert value.estimate.value == pytest.approx(
        frechet_distance_between(at.reference.features, at.candidate.features), rel=1e-9
    )
    assert value.floor is not None
    assert value.floor.draws == 20
    nulls = [frechet_distance_between(v.reference.features, v.candidate.features) for v in map(at.resplit, range(20))]
    assert value.floor.value == pytest.approx(np.mean(nulls), rel=1e-9)
    assert excess.estimate is not None
    assert 0 < excess.estimate.low < excess.estimate.value < value.estimate.value
    assert fid().function.__doc__ == "Fid, by torchmetrics, of the encoded rows of both sides."


def test_random_metrics_are_seeded_and_leave_torch_alone() -> None:
    kid = from_torchmetrics(
        lambda feature: KernelInceptionDistance(feature=feature, subsets=5, subset_size=100),
        id="acme.kid",
        family="fidelity",
        better="lower",
    )
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = measured(kid, three())
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert measured(kid, three())["value"].estimate == first["value"].estimate


def test_what_it_raises_is_its_own_error() -> None:
    class Broken(Meter):
        def update(self, rows: Tensor, real: bool) -> None:
            raise RuntimeError("secret row 17")

        def compute(self) -> Tensor:
            return torch.tensor(0.0)

    broken = from_torchmetrics(lambda _: Broken(), id="acme.broken", family="fidelity", better="lower")
    (found,) = measure(broken, three(), {})
    assert found.status == "error"
    assert "RuntimeError" in found.reason
    assert "secret" not in found.reason
    greedy = from_torchmetrics(
        lambda feature: KernelInceptionDistance(feature=feature, subsets=2, subset_size=200),
        id="acme.greedy",
        family="fidelity",
        better="lower",
    )
    (found,) = measure(greedy, three(), greedy.configure({}))
    assert "150 and 150 rows" in found.reason
    assert "subset_size" in found.reason


def test_results_of_other_shapes_are_read_as_asked() -> None:
    class Two(Meter):
        full_state_update = False

        def update(self, rows: Tensor, real: bool) -> None:
            self.last = rows.mean()

        def compute(self) -> dict[str, Tensor]:
            return {"mean": self.last, "other": torch.tensor(1.0)}

    def two(**options: Any) -> Metric:
        return from_torchmetrics(lambda _: Two(), id="acme.two", family="fidelity", better="lower", **options)

    (found,) = measure(two(), three(), {})
    assert "mean, other" in found.reason
    assert measured(two(read=lambda r: float(r["other"])), three())["value"].estimate is not None


def test_few_rows_sources_and_bad_options_are_told() -> None:
    (value,) = fid().values(three(3), {})
    assert value.status == "not_assessable"
    assert "4 rows" in value.reason
    rng = np.random.default_rng(0)
    at = bench(*rng.normal(size=(3, 60, 3)), clusters=np.append(np.arange(120), np.repeat([120, 121, 122], 20)))
    (value,) = fid().values(at, {})
    assert "sources" in value.reason
    with pytest.raises(MetricError, match="halves = 1"):
        next(iter(fid().values(three(), {"halves": 1})))
    with pytest.raises(MetricError, match="choose one"):
        fid(anchored=True, images=True)


def test_rows_of_one_source_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    parts = [np.repeat(rng.normal(size=(60, 3)), 5, 0) + (0.5 if i == 2 else 0) for i in range(3)]

    def width(**options: Any) -> float:
        estimate = next(iter(fid().values(bench(*parts, **options), {"halves": 60}))).estimate
        assert isinstance(estimate, Estimate)
        return estimate.high - estimate.low

    assert 1.5 < width(clusters=np.arange(900) // 5) / width() < 3.2


class Brightness(nn.Module):
    """An image network of one feature, which counts what it encodes."""

    num_features = 3

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        assert images.dtype == torch.uint8
        return images.float().mean((2, 3))


def test_its_own_network_sees_each_image_once() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (180, 5, 4, 3), dtype=np.uint8)
    network = Brightness()
    at = bench(*np.zeros((3, 60, 2)), modality="image", pixels=lambda row: pixels[row])
    wrapped = from_torchmetrics(
        lambda _: FrechetInceptionDistance(feature=network),
        id="acme.own",
        family="fidelity",
        better="lower",
        images=True,
    )
    found = measured(wrapped, at, halves=5)["value"].estimate
    means = pixels.mean((1, 2))
    assert found is not None
    assert found.value == pytest.approx(frechet_distance_between(means[60:120], means[120:]), rel=1e-4)
    assert network.seen == 180
    (missing,) = measure(wrapped, three(), {})
    assert missing.status == "not_applicable"


def taught(shuffle: float, n: int = 500) -> Workbench:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3 * n, 4))
    labels = np.where(x[:, 0] + x[:, 1] + 0.5 * rng.normal(size=3 * n) > 0.3, "yes", "no")
    wrong = n + np.flatnonzero(rng.random(n) < shuffle)
    labels[wrong] = rng.permutation(labels[wrong])
    return bench_of(table(x, labels, space=True), learning=n, synthetic_train=n)


def test_predictions_are_scored_as_scikit_learn_does() -> None:
    at = taught(0.5)
    accuracy = from_torchmetrics_of_predictions(
        lambda classes: MulticlassAccuracy(num_classes=classes, average="micro"),
        id="acme.accuracy",
        better="higher",
        preds="classes",
    )
    models = accuracy.configure({"models": ("linear",)})
    values = {v.group: v for v in accuracy.values(at, models)}
    real, made = (at.forecast("linear", rows) for rows in (at.learning, at.synthetic_train))
    wanted = accuracy_score(at.test.labels, real.predicted) - accuracy_score(at.test.labels, made.predicted)
    gap = values[()].estimate
    assert gap is not None
    assert gap.value == pytest.approx(wanted, abs=1e-6)
    assert gap.low < gap.value < gap.high
    auroc = from_torchmetrics_of_predictions(
        lambda classes: MulticlassAUROC(num_classes=classes), id="acme.auroc", better="higher"
    )
    assert measured(auroc, at)["gap"].estimate is not None


def test_worse_is_positive_whichever_direction_is_good() -> None:
    calibration = from_torchmetrics_of_predictions(
        lambda classes: MulticlassCalibrationError(num_classes=classes, norm="l1"), id="acme.ece", better="lower"
    )
    accuracy = from_torchmetrics_of_predictions(
        lambda classes: MulticlassAccuracy(num_classes=classes), id="acme.acc", better="higher", preds="classes"
    )
    bad, good = taught(1.0), taught(0.0)
    for metric in (calibration, accuracy):
        worse, same = measured(metric, bad)["gap"], measured(metric, good)["gap"]
        assert worse.estimate is not None
        assert same.estimate is not None
        assert worse.floor is not None
        assert worse.estimate.low > 0.02
        assert same.estimate.low < 0.02


def test_a_table_without_labels_has_no_predictions() -> None:
    accuracy = from_torchmetrics_of_predictions(
        lambda classes: MulticlassAccuracy(num_classes=classes), id="acme.acc", better="higher"
    )
    (found,) = measure(accuracy, three(), {})
    assert found.status == "not_applicable"
    one = taught(0.0)
    one.corpus.labels[:500] = "no"  # type: ignore[index]
    values = list(accuracy.values(one, accuracy.configure({})))
    assert values[0].status == "not_assessable"


def test_an_audit_takes_metrics_that_are_not_registered(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))
    rng = np.random.default_rng(0)
    rows = {role: rng.normal(size=(600, 4)) for role in ("train", "holdout", "synthetic")}
    record = cp.audit(**rows, metrics=[fid(), "fidelity.precision"], gates=["acme.fid.excess <= 5"], policy="none")
    assert {m.metric for m in record.measurements} == {"acme.fid", "fidelity.precision"}
    assert record.verdict == "pass"
    assert record["acme.fid"].estimate.value > 0


def test_the_example_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("COUNTERPROOF_CACHE", str(tmp_path))
    example = runpy.run_path(str(Path(__file__).resolve().parents[3] / "examples" / "torchmetrics" / "training.py"))
    log, record = example["train"]()
    assert set(log[0]) == {"FrechetDistance", "precision", "recall", "density", "coverage"}
    assert log[-1]["FrechetDistance"] < log[0]["FrechetDistance"] < 5
    assert record["mine.fid"].floor is not None
    assert record.verdict == "fail"


def test_an_entry_point_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a plugin would register it: ``"acme.fid" = "acme:fid"``."""
    home = ModuleType("acme_of_torchmetrics")
    home.fid = fid()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, home.__name__, home)
    entry = EntryPoint("acme.fid", "acme_of_torchmetrics:fid", ENTRY_POINTS)
    monkeypatch.setattr("counterproof.metrics.metric.installed", lambda: {"acme.fid": entry})
    assert load("acme.fid") is home.fid
    assert list(load("acme.fid").parameters()) == ["halves"]


@pytest.mark.slow
def test_the_interval_holds_the_value() -> None:
    """95 % of 80 draws, give or take; the truth is the mean at this many rows."""
    rng = np.random.default_rng(3)
    found = []
    for seed in range(80):
        rows = [rng.normal(size=(200, 4)) + shift for shift in (0, 0, 0.5)]
        found.append(next(iter(fid().values(bench(rows[0], rows[1], rows[2], seed=seed), {"halves": 30}))).estimate)
    truth = np.mean([e.value for e in found if e is not None])
    assert sum(e.low <= truth <= e.high for e in found if e is not None) >= 70


def test_the_generators_of_the_users_gpus_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def seeded(*_: Any) -> None:
        raise AssertionError("the generators of all GPUs were seeded")

    for module in (torch.cuda, torch.mps):
        for name in ("manual_seed", "manual_seed_all"):
            monkeypatch.setattr(module, name, seeded, raising=False)
    with seeded_torch(3):
        first = torch.rand(2).tolist()
    before = torch.get_rng_state()
    with seeded_torch(3):
        assert torch.rand(2).tolist() == first
    assert torch.equal(torch.get_rng_state(), before)
    assert measured(fid(), three(60, 3))["value"].status == "measured"
