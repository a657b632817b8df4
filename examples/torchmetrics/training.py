"""Watch a generator while it trains: distance, precision and recall by torchmetrics, and an audit at the end."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.image.fid import FrechetInceptionDistance

import counterproof as cp
from counterproof.metrics.integrations.from_torchmetrics import from_torchmetrics
from counterproof.metrics.integrations.meters import FrechetDistance, ManifoldMetrics


def real_rows(n: int, source: torch.Generator) -> Tensor:
    """Two crescents in eight dimensions."""
    angle = torch.rand(n, generator=source) * 3.14
    side = torch.where(torch.rand(n, generator=source) < 0.5, 1.0, -1.0)
    shape = torch.stack([side * angle.cos() + side, side * angle.sin()], dim=1)
    return torch.cat([shape, 0.1 * torch.randn(n, 6, generator=source)], dim=1)


def train(steps: int = 200, *, every: int = 100) -> tuple[list[dict[str, float]], cp.Record]:
    """A small generator learns moments; what is logged, and the record of its audit."""
    source = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 8))
    optimizer = torch.optim.Adam(generator.parameters(), lr=1e-2)
    learned, unseen = real_rows(1000, source), real_rows(1000, source)
    meters = MetricCollection([FrechetDistance(reset_real_features=False), ManifoldMetrics(reset_real_features=False)])
    meters.update(unseen, real=True)
    log: list[dict[str, float]] = []
    for step in range(steps):
        made = generator(torch.randn(200, 4, generator=source))
        loss = (made.mean(0) - learned.mean(0)).square().sum() + (made.T.cov() - learned.T.cov()).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % every == 0:
            for _ in range(5):
                meters.update(generator(torch.randn(200, 4, generator=source)), real=False)
            log.append({name: float(value) for name, value in meters.compute().items()})
            meters.reset()
    fid = from_torchmetrics(
        lambda feature: FrechetInceptionDistance(feature=feature), id="mine.fid", family="fidelity", better="lower"
    )
    release = generator(torch.randn(1000, 4, generator=source)).detach().numpy()
    record = cp.audit(
        train=learned.numpy(), holdout=unseen.numpy(), synthetic=release, metrics=[fid, "fidelity.precision"]
    )
    return log, record


if __name__ == "__main__":
    log, record = train()
    for line in log:
        print({name: round(value, 3) for name, value in line.items()})
    print("mine.fid", record["mine.fid"].estimate)
    print(record.verdict)
