"""Image encoders: the embedded network, the Inception network, raw pixels, and those of others.

Every image is resized whole to one square as the encoder's protocol says: unless a named protocol is
asked for, bicubic, antialiased, clamped to 0-255 and not requantised, which equals what clean-fid
does (arXiv:2104.11222).
"""

from __future__ import annotations

import copy
import hashlib
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from counterproof.metrics.sample import Head
from counterproof.protocols import CLEAN, Protocol, protocol_named
from counterproof.refusal import Refusal

SMALL = 96  # images up to this side are encoded at 64 pixels, larger ones at 224
SIDES = (64, 224)
PIXEL_SIDE = 32
BATCH = 32
AT_ONCE = 2**18  # pixels that go through a network at once on a CPU: more fall out of its cache
KNOWN = "auto, efficientnet, inception, pixels, timm:NAME, transformers:NAME, or a TorchScript or ONNX file"


@dataclass(frozen=True, eq=False, kw_only=True)
class Encoder:
    """Images to features.

    Attributes:
        name: What users call it.
        digest: sha256 of weights and architecture.
        conventions: How pixels reach the network, and what is taken from it.
        forward: ``(n, 3, side, side)`` float32 from 0 to 255, to ``(n, d)``.
        device: Where it runs.
        head: The network's own classifier on top of the features, where it has one.
        network: The module inside ``forward``, where there is one: normalised pixels to features.
    """

    name: str
    digest: str
    conventions: Protocol
    forward: Callable[[Tensor], Tensor]
    device: torch.device
    head: Head | None = None
    network: nn.Module | None = None

    @property
    def side(self) -> int:
        """Images are resized to ``side`` × ``side``."""
        return self.conventions.side

    def resize(self, images: Tensor) -> Tensor:
        """``(n, 3, h, w)`` float32 from 0 to 255 to ``(n, 3, side, side)``, as the protocol says."""
        return self.conventions.resized(images)

    @property
    def protocol(self) -> str:
        """The conventions in one line; numbers of different protocols are never compared."""
        return f"{self.name}, {self.conventions}, weights {self.digest[:12]}"


def encoder_for(
    choice: str | Path | nn.Module, *, largest: int, side: int | None = None, device: str = "cpu"
) -> Encoder:
    """The encoder that was asked for.

    Args:
        choice: ``auto``, ``efficientnet``, ``inception[:PROTOCOL][@WEIGHTS]``, ``pixels``, ``timm:NAME``,
            ``transformers:NAME``, a TorchScript or ONNX file, or a module. Modules and files take RGB from 0 to 1.
            ``openvino:`` before any of these runs its network on OpenVINO.
        largest: The longest side of all images.
        side: Resize to this side instead.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        Refusal: There is no such encoder or device, or its file cannot be loaded.
    """
    place = device_named(device)
    if side is not None and not 1 <= side <= 2048:
        raise Refusal(f"encoder_size must be from 1 to 2048, not {side}")
    usual = _usual(largest)
    if isinstance(choice, nn.Module):
        conventions = Protocol(side=side or usual, layer="output")
        return network_encoder(
            type(choice).__qualname__, module_digest(choice), conventions, copy.deepcopy(choice), place
        )
    if choice in ("auto", "efficientnet"):
        return _efficientnet(side or usual, place)
    if choice == "pixels":
        return _pixels(side or min(PIXEL_SIDE, largest), place)
    return _other(str(choice), side, largest, place)


def _usual(largest: int) -> int:
    return SIDES[0] if largest <= SMALL else SIDES[1]


def _other(choice: str, side: int | None, largest: int, device: torch.device) -> Encoder:
    """What is named with its source or is a file."""
    if choice.startswith("openvino:"):
        from counterproof.openvino import on_openvino

        return on_openvino(encoder_for(choice.removeprefix("openvino:"), largest=largest, side=side))
    usual = _usual(largest)
    if re.fullmatch(r"inception([:@].*)?", choice):
        return _inception(choice, side, device)
    if choice.startswith(("timm:", "transformers:")):
        from counterproof.foreign import from_hub

        return from_hub(choice, side, device)
    if choice.endswith(".onnx"):
        from counterproof.foreign import from_onnx

        return from_onnx(Path(choice), side, usual, device)
    return _torchscript(Path(choice), side or usual, device)


def device_named(name: str) -> torch.device:
    """Where encoders run; ``auto`` is CUDA where there is one, else the CPU.

    Raises:
        Refusal: There is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise Refusal(f"{name!r} is no device; use auto, cpu, cuda or mps") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise Refusal("there is no CUDA device here; use device = auto or cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise Refusal("there is no MPS device here (Apple's GPU); use device = auto or cpu")
    return device


def network_encoder(
    name: str, digest: str, conventions: Protocol, network: nn.Module, device: torch.device, head: Head | None = None
) -> Encoder:
    """An encoder around a network that turns normalised pixels into ``(n, d)`` or ``(n, d, h, w)``."""
    network = network.eval().to(device)

    def forward(images: Tensor) -> Tensor:
        return shaped(network(conventions.normalised(images)), len(images), name, conventions.side)

    return Encoder(
        name=name, digest=digest, conventions=conventions, forward=forward, device=device, head=head, network=network
    )


def at_once(encoder: Encoder) -> int:
    """How many images go through the network at once: a whole batch on a GPU, on a CPU what its cache likes."""
    if encoder.device.type != "cpu":
        return BATCH
    fits = max(1, AT_ONCE // encoder.side**2)
    return min(BATCH, 1 << (fits.bit_length() - 1))


def shaped(found: object, count: int, name: str, side: int) -> Tensor:
    """Features ``(n, d)``; maps ``(n, d, h, w)`` are averaged over their places.

    Raises:
        Refusal: It is neither.
    """
    if not isinstance(found, Tensor) or found.ndim not in (2, 4) or len(found) != count:
        raise Refusal(f"the encoder {name} must turn (n, 3, {side}, {side}) into (n, d) or (n, d, h, w)")
    return found.mean((2, 3)) if found.ndim == 4 else found


def head_of(linear: nn.Linear) -> Head:
    """A network's last layer as the classifier over its features."""
    weight = linear.weight.detach().float().cpu().numpy()
    bias = np.zeros(len(weight), np.float32) if linear.bias is None else linear.bias.detach().float().cpu().numpy()
    return Head(weight=weight, bias=bias)


def _efficientnet(side: int, device: torch.device) -> Encoder:
    from counterproof.efficientnet import SHA256, load
    from counterproof.folding import folded

    if side % 32:
        raise Refusal(f"efficientnet needs an encoder_size that is a multiple of 32, not {side}")
    network = load()
    layer = "global average of the last convolution"
    conventions = Protocol(side=side, shift=(127.0,), scale=(128.0,), layer=layer)
    head = head_of(network._fc)
    return network_encoder("efficientnet-lite0", SHA256, conventions, folded(network), device, head)


def _inception(choice: str, side: int | None, device: torch.device) -> Encoder:
    """``inception[:PROTOCOL][@WEIGHTS]``."""
    from counterproof.folding import folded
    from counterproof.inception import INCEPTION, empty, inception
    from counterproof.tensors import fitted, load

    named, _, given = choice.partition("@")
    conventions = protocol_named(named.partition(":")[2] or CLEAN.name)
    if side not in (None, conventions.side):
        raise Refusal(
            f"inception takes images of {conventions.side} pixels: leave encoder_size out, or use efficientnet"
        )
    weights = load(given or INCEPTION, role=INCEPTION)
    network = inception(fitted(weights, empty().state_dict()))
    name = f"{INCEPTION}:{conventions.name}" + ("" if weights.published else " with unpublished weights")
    head = head_of(network.fc)
    return network_encoder(name, weights.sha256, conventions, folded(network), device, head)


def _pixels(side: int, device: torch.device) -> Encoder:
    conventions = Protocol(side=side, shift=(127.5,), scale=(127.5,), layer="all pixels")
    return Encoder(
        name="pixels",
        digest=hashlib.sha256(b"pixels 1").hexdigest(),
        conventions=conventions,
        forward=lambda images: conventions.normalised(images).flatten(1),
        device=device,
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
        raise Refusal(f"{str(path)!r} is no encoder: use {KNOWN}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch prefers torch.export for new files
            network = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError):
        raise Refusal(f"{path}: cannot be loaded as TorchScript; save the encoder with torch.jit.save") from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return network_encoder(path.name, digest, Protocol(side=side, layer="output"), network, device)
