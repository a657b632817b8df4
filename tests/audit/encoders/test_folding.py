"""The faster networks compute what the plain ones do, but for the last digits of float32."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from counterproof.encoders.efficientnet import load
from counterproof.encoders.folding import ChannelsLast, Mirrored, folded, merged
from counterproof.encoders.inception import Inception


def calibrated(network: nn.Module, images: Tensor) -> nn.Module:
    """Random weights whose batch norms know the images: default ones hardly see their input."""
    torch.manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None
            part.reset_running_stats()
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.5, 0.5)
    with torch.no_grad():
        network.train()(images)
    return network.eval()


def images(side: int, n: int = 4) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(1))


def lite() -> nn.Module:
    return load()


def inception() -> nn.Module:
    return calibrated(Inception(), images(139))


@pytest.mark.parametrize(
    ("made", "side", "kind"),
    [(lite, 32, Mirrored), (lite, 64, Mirrored), (lite, 224, Mirrored), (inception, 139, ChannelsLast)],
)
def test_features_are_those_of_the_plain_network(
    made: Callable[[], nn.Module], side: int, kind: type[nn.Module]
) -> None:
    plain, seen = made(), images(side)
    with torch.inference_mode():
        exact = copy.deepcopy(plain).double()(seen.double())
        slow, fast = plain(seen), (network := folded(copy.deepcopy(plain)))(seen)
    assert isinstance(network, kind)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    scale = exact.abs().max()
    assert (exact.std(0) > 0.01 * scale / 10).any(), "features depend on the image"
    assert (fast - exact).abs().max() < (1e-5 if made is lite else 5e-4) * scale  # random weights amplify noise
    assert (fast - exact).abs().max() < 3 * (slow - exact).abs().max(), "as close to the truth as the plain network"


def test_a_merged_convolution_is_exact_to_float32() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(6, 4, (1, 3), stride=2, padding=(0, 1), groups=2), nn.BatchNorm2d(4)
    norm(torch.randn(64, 4, 5, 5) * 3 + 1)
    x = torch.randn(2, 6, 9, 9)
    with torch.inference_mode():
        expected = norm.eval().double()(conv.double()(x.double()))
        made = merged(conv.float(), norm.float())(x)
    assert made == pytest.approx(expected.float().numpy(), abs=1e-6)


def test_other_networks_only_change_their_memory_layout() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    with torch.inference_mode():
        assert torch.allclose(folded(copy.deepcopy(plain))(images(8)), plain(images(8)), atol=1e-6)
