"""Equivalent, faster networks: batch norm folded into convolutions, channels last, padding symmetric.

What is computed stays the same; only sums are taken in another order, so that features differ in the
last digits of float32 (some 1e-6 of the largest; ``tests/benchmarks/bench_encoding.py`` prints it).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from counterproof.encoders.efficientnet import Block, EfficientNetLite0


def folded(network: nn.Module) -> nn.Module:
    """A network that computes the same features in less time.

    EfficientNet-Lite0 is mirrored (:class:`Mirrored`); elsewhere every pair of submodules ``conv`` and
    ``bn``, as those of the Inception network, becomes one convolution. The given network is modified.
    """
    if isinstance(network, EfficientNetLite0):
        return Mirrored(network).eval()
    for part in list(network.modules()):
        conv, norm = getattr(part, "conv", None), getattr(part, "bn", None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            part.conv, part.bn = merged(conv, norm), nn.Identity()
    return ChannelsLast(network).eval()


def merged(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution in place of a convolution and its batch norm; the algebra is in float64.

    >>> conv, norm = nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2).eval()
    >>> x = torch.ones(1, 3, 4, 4)
    >>> torch.allclose(merged(conv, norm)(x), norm(conv(x)), atol=1e-6)
    True
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    bias = torch.zeros_like(scale) if conv.bias is None else conv.bias.double()
    made = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        tuple(conv.kernel_size),  # type: ignore[arg-type]
        tuple(conv.stride),  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        tuple(conv.dilation),  # type: ignore[arg-type]
        conv.groups,
    )
    weight = (conv.weight.double() * scale.reshape(-1, 1, 1, 1)).float()
    shift = norm.bias.double() + (bias - norm.running_mean.double()) * scale
    made.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
    made.bias = nn.Parameter(shift.float(), requires_grad=False)
    return made


class ChannelsLast(nn.Module):
    """A network that sees its images with the channels of a pixel side by side, which CPU kernels process faster."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 3, h, w)`` to the network's output."""
        made: Tensor = self.network(x.contiguous(memory_format=torch.channels_last))
        return made


class Mirrored(nn.Module):
    """EfficientNet-Lite0 on mirrored images with mirrored kernels: the same features.

    TensorFlow's SAME padding puts the odd cell of a halving convolution right and below, which
    torch's convolutions cannot, so that every one would copy its input. Seen in a mirror, on even
    sides, the odd cell stands left and above, where symmetric padding puts it; what symmetric
    padding has too much on the other side no window reaches. The mean over all positions is
    the same in the mirror.
    """

    def __init__(self, network: EfficientNetLite0) -> None:
        super().__init__()
        self.stem = _mirrored(network._conv_stem, network._bn0)
        self.steps = nn.ModuleList([MirroredBlock(block) for block in network._blocks if isinstance(block, Block)])
        self.top = merged(network._conv_head, network._bn1)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 3, s, s)``, ``(pixel - 127) / 128`` and ``s`` a multiple of 32, to ``(n, 1280)``."""
        x = self.stem(x.flip(2, 3).contiguous(memory_format=torch.channels_last)).clamp_(0, 6)
        for step in self.steps:
            x = step(x)
        pooled: Tensor = self.top(x).clamp_(0, 6).mean((2, 3))
        return pooled


class MirroredBlock(nn.Module):
    """:class:`counterproof.encoders.efficientnet.Block`, folded and mirrored."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.skips = block.skips
        self.expand = merged(block._expand_conv, block._bn0) if block.expands else None
        self.filter = _mirrored(block._depthwise_conv, block._bn1)
        self.project = merged(block._project_conv, block._bn2)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, h, w)`` to ``(n, out, h / stride, w / stride)``."""
        y = x if self.expand is None else self.expand(x).clamp_(0, 6)
        y = self.filter(y).clamp_(0, 6)
        made: Tensor = self.project(y)
        return made.add_(x) if self.skips else made


def _mirrored(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Batch norm folded in, kernel mirrored, padded by half the kernel on every side."""
    made = merged(conv, norm)
    mirrored = made.weight.flip(2, 3).contiguous(memory_format=torch.channels_last)
    made.weight = nn.Parameter(mirrored, requires_grad=False)
    made.padding = (made.kernel_size[0] // 2, made.kernel_size[1] // 2)
    return made
