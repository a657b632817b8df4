"""The Inception network of the Fréchet Inception distance, in plain torch.

The network of 2015-12-05 (Szegedy et al. 2016, arXiv:1512.00567) as TensorFlow released it and Heusel
et al. (2017, arXiv:1706.08500) use it. It differs from later Inception networks: average pools leave
the padding out, the last block pools by the maximum, and there are 1008 classes. Module names follow
the state dict of 566 keys that pytorch-fid and torch-fidelity publish, so that it loads as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

INCEPTION = "inception"  # what the encoder and its published weights are called
FEATURES = 2048
CLASSES = 1008
Shape = tuple[int, int, int | tuple[int, int]]  # channels in, channels out, kernel


class Unit(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self, channels: int, out: int, kernel: int | tuple[int, int], *, stride: int = 1, padded: bool = True
    ) -> None:
        super().__init__()
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (high // 2, wide // 2) if padded else (0, 0)
        self.conv = nn.Conv2d(channels, out, (high, wide), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, h, w)`` to ``(n, out, h', w')``, not negative."""
        return functional.relu(self.bn(self.conv(x)), inplace=True)


class Block(nn.Module):
    """Branches over one input, their maps side by side.

    Args:
        units: Shape of each unit by the name of it.
        branches: For each branch its steps, by name; ``a|b`` runs two and lays their maps side by side,
            ``average`` and ``maximum`` pool.
        halves: Names of the units, or ``maximum``, that halve the map.
    """

    def __init__(self, units: Mapping[str, Shape], branches: tuple[str, ...], halves: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.branches = tuple(tuple(tuple(step.split("|")) for step in branch.split()) for branch in branches)
        self.halves = halves
        for name, shape in units.items():
            halved = name in halves
            self.add_module(name, Unit(*shape, stride=2 if halved else 1, padded=not halved))

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w)`` to ``(n, sum of the branches' c, h', w')``."""
        return torch.cat([self._along(x, branch) for branch in self.branches], 1)

    def _along(self, x: Tensor, branch: tuple[tuple[str, ...], ...]) -> Tensor:
        for step in branch:
            made = [self._step(x, name) for name in step]
            x = made[0] if len(made) == 1 else torch.cat(made, 1)
        return x

    def _step(self, x: Tensor, name: str) -> Tensor:
        if name == "average":
            return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        if name == "maximum":
            return functional.max_pool2d(x, 3, 2) if name in self.halves else functional.max_pool2d(x, 3, 1, 1)
        made: Tensor = self.get_submodule(name)(x)
        return made


def _a(channels: int, pooled: int) -> Block:
    units: dict[str, Shape] = {
        "branch1x1": (channels, 64, 1),
        "branch5x5_1": (channels, 48, 1),
        "branch5x5_2": (48, 64, 5),
        "branch3x3dbl_1": (channels, 64, 1),
        "branch3x3dbl_2": (64, 96, 3),
        "branch3x3dbl_3": (96, 96, 3),
        "branch_pool": (channels, pooled, 1),
    }
    deep = "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3"
    return Block(units, ("branch1x1", "branch5x5_1 branch5x5_2", deep, "average branch_pool"))


def _b(channels: int) -> Block:
    units: dict[str, Shape] = {
        "branch3x3": (channels, 384, 3),
        "branch3x3dbl_1": (channels, 64, 1),
        "branch3x3dbl_2": (64, 96, 3),
        "branch3x3dbl_3": (96, 96, 3),
    }
    deep = "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3"
    return Block(units, ("branch3x3", deep, "maximum"), ("branch3x3", "branch3x3dbl_3", "maximum"))


def _c(channels: int, narrow: int) -> Block:
    units: dict[str, Shape] = {
        "branch1x1": (channels, 192, 1),
        "branch7x7_1": (channels, narrow, 1),
        "branch7x7_2": (narrow, narrow, (1, 7)),
        "branch7x7_3": (narrow, 192, (7, 1)),
        "branch7x7dbl_1": (channels, narrow, 1),
        "branch7x7dbl_2": (narrow, narrow, (7, 1)),
        "branch7x7dbl_3": (narrow, narrow, (1, 7)),
        "branch7x7dbl_4": (narrow, narrow, (7, 1)),
        "branch7x7dbl_5": (narrow, 192, (1, 7)),
        "branch_pool": (channels, 192, 1),
    }
    deep = " ".join(f"branch7x7dbl_{i}" for i in range(1, 6))
    return Block(units, ("branch1x1", "branch7x7_1 branch7x7_2 branch7x7_3", deep, "average branch_pool"))


def _d(channels: int) -> Block:
    units: dict[str, Shape] = {
        "branch3x3_1": (channels, 192, 1),
        "branch3x3_2": (192, 320, 3),
        "branch7x7x3_1": (channels, 192, 1),
        "branch7x7x3_2": (192, 192, (1, 7)),
        "branch7x7x3_3": (192, 192, (7, 1)),
        "branch7x7x3_4": (192, 192, 3),
    }
    deep = " ".join(f"branch7x7x3_{i}" for i in range(1, 5))
    return Block(units, ("branch3x3_1 branch3x3_2", deep, "maximum"), ("branch3x3_2", "branch7x7x3_4", "maximum"))


def _e(channels: int, pool: str) -> Block:
    units: dict[str, Shape] = {
        "branch1x1": (channels, 320, 1),
        "branch3x3_1": (channels, 384, 1),
        "branch3x3_2a": (384, 384, (1, 3)),
        "branch3x3_2b": (384, 384, (3, 1)),
        "branch3x3dbl_1": (channels, 448, 1),
        "branch3x3dbl_2": (448, 384, 3),
        "branch3x3dbl_3a": (384, 384, (1, 3)),
        "branch3x3dbl_3b": (384, 384, (3, 1)),
        "branch_pool": (channels, 192, 1),
    }
    shallow = "branch3x3_1 branch3x3_2a|branch3x3_2b"
    deep = "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3a|branch3x3dbl_3b"
    return Block(units, ("branch1x1", shallow, deep, f"{pool} branch_pool"))


class Inception(nn.Module):
    """Images to 2048 features: the mean of the last block over all positions.

    ``fc`` is the classifier over these features that the inception score needs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Unit(3, 32, 3, stride=2, padded=False)
        self.Conv2d_2a_3x3 = Unit(32, 32, 3, padded=False)
        self.Conv2d_2b_3x3 = Unit(32, 64, 3)
        self.Conv2d_3b_1x1 = Unit(64, 80, 1)
        self.Conv2d_4a_3x3 = Unit(80, 192, 3, padded=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _a(192, 32), _a(256, 64), _a(288, 64)
        self.Mixed_6a = _b(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (_c(768, n) for n in (128, 160, 160, 192))
        self.Mixed_7a = _d(768)
        self.Mixed_7b, self.Mixed_7c = _e(1280, "average"), _e(2048, "maximum")
        self.fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 3, 299, 299)``, from -1 to 1, to ``(n, 2048)``."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(functional.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(functional.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean((2, 3))


def empty() -> Inception:
    """The network without weights: names and shapes alone."""
    with torch.device("meta"):  # no weights are initialised, since they are overwritten
        return Inception()


def inception(state: Mapping[str, Tensor]) -> Inception:
    """The network with a state dict that :func:`~counterproof.encoders.weight_files.matched_state` took."""
    network = empty()
    network.load_state_dict(dict(state), assign=True)
    return network.eval()
