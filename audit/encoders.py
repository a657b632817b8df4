"""Image encoders: the embedded network, raw pixels, any module, any TorchScript file.

Every image is resized whole to one square (bicubic, antialiased, clamped to 0-255, not requantised),
which equals what clean-fid does (arXiv:2104.11222); the side stands in the protocol.
"""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from counterproof.metrics.sample import Head
from counterproof.refusal import Refusal

SMALL = 96  # images up to this side are encoded at 64 pixels, larger ones at 224
SIDES = (64, 224)
PIXEL_SIDE = 32
BATCH = 32
RESIZED = "bicubic antialiased clamped"


@dataclass(frozen=True, eq=False, kw_only=True)
class Encoder:
    """Images to features.

    Attributes:
        name: What users call it.
        digest: sha256 of weights and architecture.
        side: Images are resized to ``side`` × ``side``.
        normalised: How pixels reach the network.
        layer: Where the features are taken.
        forward: ``(n, 3, side, side)`` float32 from 0 to 255, to ``(n, d)``.
        device: Where it runs.
        head: The network's own classifier on top of the features, where it has one.
    """

    name: str
    digest: str
    side: int
    normalised: str
    layer: str
    forward: Callable[[Tensor], Tensor]
    device: torch.device
    head: Head | None = None

    @property
    def protocol(self) -> str:
        """The conventions in one line; numbers of different protocols are never compared."""
        return (
            f"{self.name}, side {self.side}, {RESIZED}, {self.normalised}, {self.layer}, float32, "
            f"weights {self.digest[:12]}"
        )


def encoder_for(
    choice: str | Path | nn.Module, *, largest: int, side: int | None = None, device: str = "cpu"
) -> Encoder:
    """The encoder that was asked for.

    Args:
        choice: ``auto``, ``efficientnet``, ``pixels``, a module that takes RGB from 0 to 1, or a TorchScript file.
        largest: The longest side of all images.
        side: Resize to this side instead.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        Refusal: There is no such encoder or device, or its file cannot be loaded.
    """
    place = _device(device)
    if side is not None and not 1 <= side <= 2048:
        raise Refusal(f"encoder_size must be from 1 to 2048, not {side}")
    usual = SIDES[0] if largest <= SMALL else SIDES[1]
    if isinstance(choice, nn.Module):
        return _module(copy.deepcopy(choice), type(choice).__qualname__, module_digest(choice), side or usual, place)
    if choice in ("auto", "efficientnet"):
        return _efficientnet(side or usual, place)
    if choice == "pixels":
        return _pixels(side or min(PIXEL_SIDE, largest), place)
    return _torchscript(Path(choice), side or usual, place)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise Refusal(f"{name!r} is no device; use auto, cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise Refusal("there is no CUDA device here; use device = auto or cpu")
    return device


def _efficientnet(side: int, device: torch.device) -> Encoder:
    from counterproof.efficientnet import SHA256, load

    if side % 32:
        raise Refusal(f"efficientnet needs an encoder_size that is a multiple of 32, not {side}")
    network = load().to(device)
    return Encoder(
        name="efficientnet-lite0",
        digest=SHA256,
        side=side,
        normalised="(x - 127) / 128",
        layer="global average of the last convolution",
        forward=lambda images: network((images - 127) / 128),
        device=device,
    )


def _pixels(side: int, device: torch.device) -> Encoder:
    return Encoder(
        name="pixels",
        digest=hashlib.sha256(b"pixels 1").hexdigest(),
        side=side,
        normalised="(x - 127.5) / 127.5",
        layer="all pixels",
        forward=lambda images: ((images - 127.5) / 127.5).flatten(1),
        device=device,
    )


def _module(network: nn.Module, name: str, digest: str, side: int, device: torch.device) -> Encoder:
    def forward(images: Tensor) -> Tensor:
        found = network(images / 255)
        if not isinstance(found, Tensor) or found.ndim not in (2, 4) or len(found) != len(images):
            raise Refusal(f"the encoder {name} must turn (n, 3, {side}, {side}) into (n, d) or (n, d, h, w)")
        return found.mean((2, 3)) if found.ndim == 4 else found

    network.eval().to(device)
    return Encoder(
        name=name, digest=digest, side=side, normalised="x / 255", layer="output", forward=forward, device=device
    )


def module_digest(network: nn.Module) -> str:
    """sha256 of a module's structure, code and state."""
    total = hashlib.sha256(repr(network).encode())
    for part in network.modules():
        code = getattr(type(part).forward, "__code__", None)
        total.update(b"" if code is None else code.co_code + repr(code.co_names).encode())
    for name, value in sorted(network.state_dict().items()):
        array = value.detach().cpu().contiguous()
        total.update(f"{name}:{array.dtype}:{tuple(array.shape)}:".encode())
        total.update(array.reshape(-1).view(torch.uint8).numpy().tobytes() if array.numel() else b"")
    return total.hexdigest()


def _torchscript(path: Path, side: int, device: torch.device) -> Encoder:
    if not path.is_file():
        raise Refusal(f"{str(path)!r} is no encoder: use auto, efficientnet, pixels, or a TorchScript file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch prefers torch.export for new files
            network = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError):
        raise Refusal(f"{path}: cannot be loaded as TorchScript; save the encoder with torch.jit.save") from None
    return _module(network, path.name, hashlib.sha256(path.read_bytes()).hexdigest(), side, device)
