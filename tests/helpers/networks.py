"""Networks with weights that are drawn, not learned, yet tell pictures apart as trained ones do."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from counterproof.encoders.inception import Inception
from counterproof.encoders.protocols import CLEAN

SIZES = ((64, 64), (40, 33), (400, 512), (299, 299))  # of pictures that protocols are compared on


@cache
def drawn_inception(seed: int = 0) -> dict[str, Tensor]:
    """The state dict of an Inception network with Kaiming weights and calibrated batch norms.

    With PyTorch's default weights, or norms that were never calibrated, features hardly depend on the picture.
    """
    source = torch.Generator().manual_seed(seed)
    network = Inception().double()  # so that norms come out the same whatever computes them
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, (nn.Conv2d, nn.Linear)):
                fan = part.weight[0].numel()
                part.weight.copy_(torch.randn(part.weight.shape, generator=source) * (2 / fan) ** 0.5)
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = 1.0  # the statistics of the one batch below
        network.fc.bias.copy_(torch.randn(network.fc.bias.shape, generator=source) * 0.1)
        seen = torch.cat(
            [CLEAN.resized(grey_levels(picture(*size, seed=i))) for i, size in enumerate(SIZES) if i in (0, 3)]
        )
        network.train()(CLEAN.normalised(seen).double())
    return {name: value.clone() for name, value in network.float().state_dict().items()}


def grey_levels(image: NDArray[np.uint8]) -> Tensor:
    """``(1, 3, h, w)`` float32."""
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


def picture(height: int, width: int | None = None, *, seed: int = 0) -> NDArray[np.uint8]:
    """Stripes, a slope and grain; no random state, so that it is the same everywhere."""
    y, x = np.mgrid[0:height, 0 : width or height].astype(np.int64)
    red = (x * (3 + seed) + y) % 256
    green = (y * 5 + seed * 40) % 256
    blue = (x * y * (7 + seed) + 31 * x) % 256
    return np.stack([red, green, blue], axis=2).astype(np.uint8)
