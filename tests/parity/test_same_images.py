"""On the same image files and the same weights every library gives our number, each under its own protocol.

The weights are drawn at random and calibrated, in the published layout of 566 keys; no library's
published weights are needed. Our side is the audit's own encoder, in float32 as theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import drawn_inception
from numpy.typing import NDArray
from PIL import Image

from counterproof.encoders.batches import encode
from counterproof.encoders.registry import encoder_for
from counterproof.metrics.engine.mmd import kernel_distance_between
from counterproof.metrics.fidelity.frechet_distance import frechet_distance_between
from counterproof.metrics.prdc.balls import balls_between

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
Peer = Callable[[str], ModuleType]
NEAR = 1e-5  # float32 networks, whose rounding the distance carries on
N = 24


def drawn(n: int, seed: int, side: int) -> NDArray[np.uint8]:
    """Blurred colours with grain: smooth enough that every way to resize is itself."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (n, 6, 6, 3), dtype=np.uint8)
    smooth = np.stack([np.asarray(Image.fromarray(one).resize((side, side))) for one in coarse])
    return (smooth * 0.9 + rng.integers(0, 25, smooth.shape)).astype(np.uint8)


@pytest.fixture(scope="module")
def images() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return drawn(N, 0, 96), (drawn(N, 1, 96) // 2 + 60).astype(np.uint8)


@pytest.fixture(scope="module")
def folders(images: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    made = []
    for side in images:
        folder = tmp_path_factory.mktemp("images")
        for i, image in enumerate(side):
            Image.fromarray(image).save(folder / f"{i:03}.png")
        made.append(str(folder))
    return made[0], made[1]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "drawn.pth"
    torch.save(drawn_inception(), path)
    return path


def ours(protocol: str, weights: Path, images: Any) -> list[Any]:
    encoder = encoder_for(f"inception:{protocol}@{weights}", largest=96)
    return [encode(encoder, side).astype(float) for side in images]


def close(what: str, found: float, wanted: float) -> None:
    print(f"{what}: {found:.6f} and {wanted:.6f}, {abs(found - wanted) / abs(wanted):.1e} relative")
    assert found == pytest.approx(wanted, rel=NEAR)


def test_torch_fidelity(peer: Peer, images: Any, folders: tuple[str, str], weights: Path) -> None:
    theirs = peer("torch_fidelity").calculate_metrics(
        input1=folders[0],
        input2=folders[1],
        fid=True,
        kid=True,
        kid_subsets=1,
        kid_subset_size=N,
        prc=True,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(weights),
        batch_size=8,
        cuda=False,
        cache=False,
        verbose=False,
    )
    left, right = ours("legacy-tensorflow", weights, images)
    close("Fréchet", frechet_distance_between(left, right), theirs["frechet_inception_distance"])
    close("kernel", kernel_distance_between(left, right).value, theirs["kernel_inception_distance_mean"])
    found = balls_between(right, left, 3)
    assert (found.precision, found.recall) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-9)


def test_torchmetrics(peer: Peer, images: Any, weights: Path) -> None:
    peer("torch_fidelity")
    fid = peer("torchmetrics.image.fid").FrechetInceptionDistance(
        feature=2048, feature_extractor_weights_path=str(weights)
    )
    for side, real in zip(images, (True, False), strict=True):
        fid.update(torch.from_numpy(np.moveaxis(side, 3, 1).copy()), real=real)
    close("Fréchet", frechet_distance_between(*ours("torchmetrics", weights, images)), float(fid.compute()))


@pytest.mark.parametrize(("mode", "protocol"), [("clean", "clean"), ("legacy_pytorch", "legacy-pytorch")])
def test_clean_fid(peer: Peer, images: Any, folders: tuple[str, str], weights: Path, mode: str, protocol: str) -> None:
    """Its files, resize, features and distance; its own network with our weights in place of a download."""
    fid, network = peer("cleanfid.fid"), peer("cleanfid.inception_pytorch")
    network.load_state_dict_from_url = lambda *_, **__: torch.load(weights, weights_only=True)
    net = network.InceptionV3([3], resize_input=False).eval()

    def extract(batch: torch.Tensor) -> torch.Tensor:
        """clean-fid hands over grey levels; pytorch-fid's network takes 0 to 1 and doubles them less 1."""
        seen = batch / 255 if mode == "legacy_pytorch" else (batch / 128) / 2
        with torch.no_grad():
            return torch.as_tensor(net(seen)[0][:, :, 0, 0])

    theirs = fid.compute_fid(
        *folders,
        mode=mode,
        num_workers=0,
        batch_size=8,
        device=torch.device("cpu"),
        use_dataparallel=False,
        custom_feat_extractor=extract,
        verbose=False,
    )
    close("Fréchet", frechet_distance_between(*ours(protocol, weights, images)), theirs)
