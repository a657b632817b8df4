"""The Encoder type, and helper functions that all encoding networks share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from counterproof.encoders.protocols import Protocol
from counterproof.metrics.sample import Head
from counterproof.refusal import Refusal

BATCH = 32
AT_ONCE = 2**18  # pixels per call of a network on a CPU: more do not fit in its cache


@dataclass(frozen=True, eq=False, kw_only=True)
class Encoder:
    """Images to features.

    Attributes:
        name: Its name for users.
        digest: sha256 of weights and architecture.
        conventions: How images are prepared, and which layer is read.
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
        return pooled_features(network(conventions.normalised(images)), len(images), name, conventions.side)

    return Encoder(
        name=name, digest=digest, conventions=conventions, forward=forward, device=device, head=head, network=network
    )


def images_per_call(encoder: Encoder) -> int:
    """How many images go through the network at once: a whole batch on a GPU, on a CPU as many as fit in its cache."""
    if encoder.device.type != "cpu":
        return BATCH
    fits = max(1, AT_ONCE // encoder.side**2)
    return min(BATCH, 1 << (fits.bit_length() - 1))


def pooled_features(found: object, count: int, name: str, side: int) -> Tensor:
    """Features ``(n, d)``; maps ``(n, d, h, w)`` are averaged over all positions.

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
