"""The suite as torchmetrics: batches, processes and devices change no value, and states behave."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.wrappers import FeatureShare

from counterproof.metrics.engine.mmd import kernel_distance_between
from counterproof.metrics.errors import MetricError
from counterproof.metrics.fidelity.frechet_distance import frechet_distance_between
from counterproof.metrics.integrations import streaming as comparison
from counterproof.metrics.integrations.meters import (
    Coverage,
    Density,
    FeatureMetric,
    FrechetDistance,
    KernelDistance,
    ManifoldMetrics,
    Precision,
    Recall,
)
from counterproof.metrics.integrations.streaming import Comparison
from counterproof.metrics.prdc.balls import balls_between

METERS: dict[str, Callable[[], Comparison]] = {
    "frechet": FrechetDistance,
    "kernel": KernelDistance,
    "precision": Precision,
    "recall": Recall,
    "density": Density,
    "coverage": Coverage,
}


def two(n: int = 301, m: int = 257, d: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=generator), torch.randn(m, d, generator=generator) * 0.8 + 0.3


def expected(real: Tensor, fake: Tensor) -> dict[str, float]:
    x, y = real.double().numpy(), fake.double().numpy()
    return {
        "frechet": frechet_distance_between(x, y),
        "kernel": kernel_distance_between(x, y).value,
        **dict(zip(("precision", "recall", "density", "coverage"), balls_between(x, y).values, strict=True)),
    }


def fed(meter: Comparison, real: Tensor, fake: Tensor, batch: int = 41) -> Comparison:
    for rows in real.split(batch):
        meter.update(rows, real=True)
    for rows in fake.split(batch):
        meter.update(rows, real=False)
    return meter


@pytest.mark.parametrize("name", METERS)
@pytest.mark.parametrize("batch", [1, 41, 1000])
def test_batches_equal_one_shot(name: str, batch: int) -> None:
    real, fake = two()
    assert float(fed(METERS[name](), real, fake, batch).compute()) == pytest.approx(
        expected(real, fake)[name], rel=1e-10
    )


@pytest.mark.parametrize("groups", [1, 5])
def test_rows_far_from_the_origin_lose_nothing(groups: int) -> None:
    """Raw sums of squares would keep eight digits fewer."""
    real, fake = (rows.double() for rows in two())
    here = fed(FrechetDistance(groups=groups), real, fake).compute()
    there = fed(FrechetDistance(groups=groups), real + 1e6, fake + 1e6).compute()
    assert float(there) == pytest.approx(float(here), rel=1e-8)


def test_fewer_rows_than_dimensions() -> None:
    real, fake = two(40, 30, 64)
    assert float(fed(FrechetDistance(), real, fake).compute()) == pytest.approx(
        expected(real, fake)["frechet"], abs=1e-5
    )
    assert float(fed(FrechetDistance(), real, real).compute()) == pytest.approx(0, abs=1e-5)


def test_published_values() -> None:
    rs = np.random.RandomState(2023)
    a, b = (torch.from_numpy(rs.randn(1024, 64)) for _ in range(2))
    assert float(fed(FrechetDistance(), a, b, 100).compute()) == pytest.approx(2.216407743, abs=1e-9)
    rs = np.random.RandomState(7)
    a, b = (torch.from_numpy((rs.randn(2000, 64) + s).astype(np.float32)) for s in (0.0, 0.1))
    assert float(fed(KernelDistance(), a, b, 500).compute()) == pytest.approx(0.033323734, abs=2e-9)
    rs = np.random.RandomState(42)
    a = torch.from_numpy(rs.randn(500, 16).astype(np.float32))
    b = torch.from_numpy((rs.randn(500, 16) * 0.8 + 0.2).astype(np.float32))
    four = fed(ManifoldMetrics(k=3), a, b).compute()
    assert [round(float(four[name]), 6) for name in ("precision", "recall", "density", "coverage")] == [
        0.960,
        0.402,
        2.164667,
        0.932,
    ]


def test_estimates_hold_the_value() -> None:
    real, fake = two()
    for name, make in METERS.items():
        meter = fed(make(), real, fake)
        found = meter.estimate()
        assert found.low < found.value < found.high, name
        if name != "frechet":
            assert found.value == pytest.approx(float(meter.compute()), rel=1e-12)
    plain = fed(FrechetDistance(), real, fake)
    assert plain.estimate().value < float(plain.compute()), "the bias of few rows is gone"
    four = fed(ManifoldMetrics(), real, fake).estimates()
    assert four["recall"] == fed(Recall(), real, fake).estimate()


@pytest.mark.parametrize("kind", [FrechetDistance, KernelDistance, Coverage])
def test_the_interval_is_of_the_asked_level(kind: Callable[..., Comparison]) -> None:
    made = [kind(level=level) for level in (0.8, 0.95, 0.99)]
    x = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    for meter in made:
        meter.update(x, real=True)
        meter.update(x + torch.randn(300, 3, generator=torch.Generator().manual_seed(1)), real=False)
    found = [meter.estimate() for meter in made]
    assert [e.level for e in found] == [0.8, 0.95, 0.99]
    assert len({e.value for e in found}) == 1
    widths = [e.high - e.low for e in found]
    assert widths == sorted(widths)
    assert widths[0] < 0.8 * widths[2]
    with pytest.raises(MetricError, match="level = 95"):
        kind(level=95)


def test_a_collection_shares_states_and_flattens() -> None:
    real, fake = two()
    collection = MetricCollection([make() for make in METERS.values()])
    for rows in real.split(50):
        collection.update(rows, real=True)
    for rows in fake.split(50):
        collection.update(rows, real=False)
    found = {name.lower(): float(value) for name, value in collection.compute().items()}
    wanted = expected(real, fake)
    for name, value in wanted.items():
        assert next(v for key, v in found.items() if key.startswith(name)) == pytest.approx(value, rel=1e-10)
    assert len(collection.compute_groups) == 2, "rows are kept once for five meters"
    flat = MetricCollection([ManifoldMetrics()])
    fed(flat, real, fake)  # type: ignore[arg-type]
    assert set(flat.compute()) == {"precision", "recall", "density", "coverage"}


def test_any_registered_metric_of_features() -> None:
    real, fake = two()
    meter = fed(FeatureMetric("coverage.recall", parameters={"k": 3}), real, fake)
    assert float(meter.compute()) == balls_between(real.double().numpy(), fake.double().numpy(), 3).recall
    assert meter.higher_is_better is True
    assert KernelDistance().higher_is_better is False
    for wrong, words in (("utility.tstr", "by an audit"), ("coverage.recal", "no metric is called")):
        with pytest.raises(MetricError, match=words):
            FeatureMetric(wrong)
    with pytest.raises(MetricError, match="no option 'neighbours'"):
        FeatureMetric("coverage.recall", parameters={"neighbours": 3})


@pytest.mark.parametrize("name", METERS)
def test_states_travel(name: str) -> None:
    """Pickled, copied, saved and loaded, merged: the value stays, and the first is left alone."""
    real, fake = two()
    wanted = pytest.approx(expected(real, fake)[name], rel=1e-10)
    whole = fed(METERS[name](), real, fake)
    assert float(pickle.loads(pickle.dumps(whole)).compute()) == wanted
    assert float(copy.deepcopy(whole).compute()) == wanted
    whole.persistent(True)
    loaded = METERS[name]()
    loaded.load_state_dict(whole.state_dict())
    loaded.update(fake[:3] + 9, real=False)
    assert float(whole.compute()) == wanted
    left, right = fed(METERS[name](), real[:100], fake[:30]), fed(METERS[name](), real[100:], fake[30:])
    left.merge_state(right)
    assert float(left.compute()) == wanted
    left.update(fake[:3] + 9, real=False)
    right.merge_state(fed(METERS[name](), real[:100], fake[:30]))
    assert float(right.compute()) == wanted


@pytest.mark.parametrize("name", METERS)
def test_reset_keeps_the_reference_where_asked(name: str) -> None:
    real, fake = two()
    wanted = pytest.approx(expected(real, fake)[name], rel=1e-10)
    kept = type(METERS[name]())(reset_real_features=False)
    fed(kept, real, fake + 5).reset()
    for rows in fake.split(60):
        kept.update(rows, real=False)
    assert float(kept.compute()) == wanted
    forgot = fed(METERS[name](), real, fake)
    forgot.reset()
    forgot.update(fake[:0], real=False)
    with pytest.raises(MetricError, match=r"no (real|synthetic) rows yet"):
        forgot.compute()


class Pooled(nn.Module):
    """A stand-in for an encoder, with a part that training mode would change."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(12)
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return self.norm(images.float().reshape(len(images), 12, -1).mean(2))


def test_images_go_through_the_module() -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 255, (120, 3, 8, 8), dtype=torch.uint8, generator=generator)
    encoder = Pooled()
    meter = FrechetDistance(encoder).train()
    fed(meter, images[:60], images[60:], 20)
    with torch.no_grad():
        rows = Pooled().eval()(images).double().numpy()
    assert float(meter.compute()) == pytest.approx(frechet_distance_between(rows[:60], rows[60:]), rel=1e-6)
    assert torch.equal(encoder.norm.running_mean, torch.zeros(12)), "evaluation mode"
    shared = FeatureShare({"frechet": FrechetDistance(Pooled()), "recall": Recall(Pooled())})
    batch = images[:60]
    shared.update(batch, real=True)
    assert shared["frechet"].feature.network.calls == 1


def test_states_stay_float64_on_the_cpu_where_the_device_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """``meta`` stands for a device without float64, as MPS is."""
    monkeypatch.setattr(comparison, "WITHOUT_DOUBLE", ("meta",))
    real, fake = two()
    meter = fed(FrechetDistance(), real[:100], fake[:100])
    meter.to("meta")
    assert meter.device.type == "meta"
    fed(meter, real[100:], fake[100:])
    for state in (*meter.real, *meter.fake):
        assert (state.device.type, state.dtype) == ("cpu", torch.float64)
    assert (meter.compute().device.type, meter.compute().dtype) == ("meta", torch.float32)
    meter._device = torch.device("cpu")
    meter._computed = None
    assert float(meter.compute()) == pytest.approx(expected(real, fake)["frechet"], rel=1e-10)


def test_casts_leave_states_alone() -> None:
    real, fake = two()
    meter = fed(FrechetDistance(), real, fake).half().to(torch.float16)
    assert float(meter.compute()) == pytest.approx(expected(real, fake)["frechet"], rel=1e-10)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (torch.zeros(5), "not \\(5,\\)"),
        (torch.zeros(2, 3, 4, 4), "feature=a module"),
        (torch.zeros(4, 3, dtype=torch.uint8), "floating-point"),
        (torch.tensor([[0.0, 1.0], [0.0, torch.nan]]), "row 1 of the batch"),
        (torch.zeros(4, 9), "9 features a row, those before 3"),
    ],
)
def test_bad_batches_are_told(rows: Tensor, words: str) -> None:
    for meter in (FrechetDistance(), Recall()):
        meter.update(torch.zeros(2, 3), real=True)
        with pytest.raises(MetricError, match=words):
            meter.update(rows, real=True)


def test_too_little_is_told() -> None:
    meter = FrechetDistance()
    meter.update(torch.zeros(1, 2), real=True)
    meter.update(torch.zeros(4, 2), real=False)
    with pytest.raises(MetricError, match="needs two"):
        meter.compute()
    meter.update(torch.randn(8, 2), real=True)
    with pytest.raises(MetricError, match="no interval"):
        meter.estimate()
    with pytest.raises(MetricError, match="12 rows on each side"):
        fed(Recall(), torch.zeros(4, 2), torch.zeros(4, 2)).compute()
    with pytest.raises(MetricError, match="groups = 0"):
        FrechetDistance(groups=0)
    with pytest.raises(MetricError, match="compute\\(\\) at the end"):
        meter(torch.zeros(4, 2), real=True)


WORKER = """
import json, sys
import torch
from torch import distributed
from test_meters import METERS, fed, two
from counterproof.metrics.integrations.meters import ManifoldMetrics

rank, store = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
told = {}
for case, cut in (("both", 190), ("lone", 257)):  # in the second, one process has real rows only
    real, fake = two()
    real, fake = (real[:77], fake[:cut]) if rank == 0 else (real[77:], fake[cut:])
    for name, make in METERS.items():
        meter = fed(make(), real, fake)
        told[f"{case} {name}"] = [float(meter.compute()), meter.estimate().low, len(meter.real)]
told["four"] = {k: e.high for k, e in fed(ManifoldMetrics(), real, fake).estimates().items()}
print(json.dumps(told))
distributed.destroy_process_group()
"""


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """Also where one of them has no synthetic rows, and so knows neither their width nor their dtype."""
    folders = [str(Path(__file__).parents[at]) for at in (0, 2)]  # of this file, and of the helpers
    code = f"import sys\nsys.path[:0] = {folders!r}\n{WORKER}"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(rank), str(tmp_path / "store")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    told = []
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, err
        told.append(json.loads(out))
    real, fake = two()
    for name, wanted in expected(real, fake).items():
        alone = fed(METERS[name](), real, fake).estimate()
        for case, process in product(("both", "lone"), told):
            value, low, kept = process[f"{case} {name}"]
            assert value == pytest.approx(wanted, rel=1e-10)
            assert kept < len(real), "unsynced again"
            if name == "kernel":  # the halves and groups of others are dealt by the order of rows
                assert low == pytest.approx(alone.low, rel=1e-9)
    assert told[0]["four"] == told[1]["four"]


@pytest.mark.slow
def test_the_interval_holds_the_distance_of_the_distributions() -> None:
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(200):
        meter = FrechetDistance()
        meter.update(torch.from_numpy(rng.normal(size=(300, 6))), real=True)
        meter.update(torch.from_numpy(rng.normal(size=(300, 6)) + 0.3), real=False)
        found = meter.estimate()
        hits += found.low <= 6 * 0.3**2 <= found.high
    assert hits >= 182
