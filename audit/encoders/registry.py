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
from pathlib import Path

import torch
from torch import nn

from counterproof.encoders.base import Encoder, device_named, head_of, module_digest, network_encoder
from counterproof.encoders.protocols import CLEAN, Protocol, protocol_named
from counterproof.refusal import Refusal

SMALL = 96  # images up to this side are encoded at 64 pixels, larger ones at 224
SIDES = (64, 224)
PIXEL_SIDE = 32
KNOWN = "auto, efficientnet, inception, pixels, timm:NAME, transformers:NAME, or a TorchScript or ONNX file"


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
        from counterproof.encoders.openvino import on_openvino

        return on_openvino(encoder_for(choice.removeprefix("openvino:"), largest=largest, side=side))
    usual = _usual(largest)
    if re.fullmatch(r"inception([:@].*)?", choice):
        return _inception(choice, side, device)
    if choice.startswith(("timm:", "transformers:")):
        from counterproof.encoders.onnx_and_hubs import from_hub

        return from_hub(choice, side, device)
    if choice.endswith(".onnx"):
        from counterproof.encoders.onnx_and_hubs import from_onnx

        return from_onnx(Path(choice), side, usual, device)
    return _torchscript(Path(choice), side or usual, device)


def _efficientnet(side: int, device: torch.device) -> Encoder:
    from counterproof.encoders.efficientnet import SHA256, load
    from counterproof.encoders.folding import folded

    if side % 32:
        raise Refusal(f"efficientnet needs an encoder_size that is a multiple of 32, not {side}")
    network = load()
    layer = "global average of the last convolution"
    conventions = Protocol(side=side, shift=(127.0,), scale=(128.0,), layer=layer)
    head = head_of(network._fc)
    return network_encoder("efficientnet-lite0", SHA256, conventions, folded(network), device, head)


def _inception(choice: str, side: int | None, device: torch.device) -> Encoder:
    """``inception[:PROTOCOL][@WEIGHTS]``."""
    from counterproof.encoders.folding import folded
    from counterproof.encoders.inception import INCEPTION, empty, inception
    from counterproof.encoders.weight_files import load, matched_state

    named, _, given = choice.partition("@")
    conventions = protocol_named(named.partition(":")[2] or CLEAN.name)
    if side not in (None, conventions.side):
        raise Refusal(
            f"inception takes images of {conventions.side} pixels: leave encoder_size out, or use efficientnet"
        )
    weights = load(given or INCEPTION, role=INCEPTION)
    network = inception(matched_state(weights, empty().state_dict()))
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
