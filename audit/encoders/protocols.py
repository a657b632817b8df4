"""Protocols: how images are prepared for a network, under the names used with published numbers.

Fréchet distances of the same images differ by whole points between libraries, for no other reason
than how each resizes (Parmar, Zhang and Zhu 2022, arXiv:2104.11222). So a protocol has a name, stands
in full beside every number, and numbers of different protocols are never compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from counterproof.refusal import Refusal, did_you_mean

Resampling = Literal["bicubic", "bilinear", "corner bilinear"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How images are prepared for a network, and which layer is read.

    Attributes:
        name: Its name for users; empty for an encoder with a single protocol.
        side: Images are resized whole to ``side`` × ``side``.
        resample: ``bicubic``, ``bilinear``, or ``corner bilinear``: TensorFlow 1's, which samples at the corners
            of pixels, not at their centres.
        antialias: Whether the filter grows with the step when images shrink.
        quantise: Whether resized pixels are rounded to whole grey levels.
        shift: Subtracted from grey levels (0 to 255), one for all channels or one each.
        scale: Divided by after that.
        layer: Where the features are taken.
        dtype: In which numbers the network computes.
        note: What else sets numbers of this protocol apart.

    >>> str(replace(CLEAN, side=64))
    'side 64, bicubic antialiased clamped, (x - 128) / 128, pool of 2048, float32'
    """

    name: str = ""
    side: int
    resample: Resampling = "bicubic"
    antialias: bool = True
    quantise: bool = False
    shift: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (255.0,)
    layer: str
    dtype: str = "float32"
    note: str = ""

    def resized(self, images: Tensor) -> Tensor:
        """``(n, 3, h, w)`` float32 grey levels to ``(n, 3, side, side)``, within 0 to 255; that size stays as it is."""
        if images.shape[2:] == (self.side, self.side):
            return images
        if self.resample == "corner bilinear":
            made = _corner_bilinear(images, self.side)
        else:
            size = (self.side, self.side)
            exact = images.double() if self.resample == "bicubic" else images  # Pillow's weights are float64
            made = functional.interpolate(exact, size, mode=self.resample, antialias=self.antialias).float()
        made = made.clamp(0, 255)  # bicubic overshoots
        return made.round() if self.quantise else made

    def normalised(self, images: Tensor) -> Tensor:
        """Grey levels normalised as in the network's training."""
        if len(self.shift) == len(self.scale) == 1:
            return (images - self.shift[0]) / self.scale[0] if self.shift[0] else images / self.scale[0]
        shift, scale = (images.new_tensor(part).reshape(1, -1, 1, 1) for part in (self.shift, self.scale))
        return (images - shift) / scale

    def __str__(self) -> str:
        how = [self.resample, "antialiased" * self.antialias, "quantised" * self.quantise]
        shift, scale = (_plain(part) for part in (self.shift, self.scale))
        seen = f"x / {scale}" if shift == "0" else f"(x - {shift}) / {scale}"
        parts = (
            f"side {self.side}",
            " ".join(filter(None, [*how, "clamped"])),
            seen,
            self.layer,
            self.dtype,
            self.note,
        )
        return ", ".join(filter(None, parts))


def _plain(values: tuple[float, ...]) -> str:
    told = [f"{value:.6g}" for value in values]
    return told[0] if len(told) == 1 else f"[{' '.join(told)}]"


def _corner_bilinear(images: Tensor, side: int) -> Tensor:
    """TensorFlow 1's ``resize_bilinear``: output pixel i looks at i · (size / side), between two neighbours.

    Offsets are computed in float32 as TensorFlow does, so that results agree to the last digits.
    """
    height, width = images.shape[2:]
    down, along = _neighbours(images, height, side), _neighbours(images, width, side)
    left, right = images[..., along[0]], images[..., along[1]]
    rows = left + (right - left) * along[2]
    above, below = rows[:, :, down[0]], rows[:, :, down[1]]
    return above + (below - above) * down[2].reshape(-1, 1)


def _neighbours(images: Tensor, size: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two source positions of each output position, and the weight of the second."""
    step = torch.tensor(size / side, dtype=torch.float32)
    places = torch.arange(side, dtype=torch.float32) * step
    first = places.long().clamp_max(size - 1)
    second = (first + 1).clamp_max(size - 1)
    return first.to(images.device), second.to(images.device), (places - first.float()).to(images.device)


INCEPTION_SIDE = 299
POOLED = "pool of 2048"
CLEAN = Protocol(name="clean", side=INCEPTION_SIDE, shift=(128.0,), scale=(128.0,), layer=POOLED)
LEGACY_TENSORFLOW = replace(CLEAN, name="legacy-tensorflow", resample="corner bilinear", antialias=False)
LEGACY_PYTORCH = replace(
    CLEAN, name="legacy-pytorch", resample="bilinear", antialias=False, shift=(127.5,), scale=(127.5,)
)
TORCHMETRICS = replace(CLEAN, name="torchmetrics", resample="bilinear")
NAMED = {one.name: one for one in (CLEAN, LEGACY_TENSORFLOW, LEGACY_PYTORCH, TORCHMETRICS)}
"""Protocols of the Inception network by name.

* ``clean``: clean-fid, and the default; Pillow's bicubic filter on floats, not rounded.
* ``legacy-tensorflow``: the original TensorFlow code and torch-fidelity.
* ``legacy-pytorch``: pytorch-fid, and clean-fid's mode of the same name; 2x / 255 - 1 before the network.
* ``torchmetrics``: torchmetrics from 1.8 on; bilinear with antialiasing.
"""


def protocol_named(name: str) -> Protocol:
    """A protocol of the Inception network.

    Raises:
        Refusal: There is none of that name.
    """
    if name not in NAMED:
        raise Refusal(f"no protocol is called {name!r}{did_you_mean(name, NAMED)}")
    return NAMED[name]
