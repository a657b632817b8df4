"""How stored numbers become 8-bit: by the range that they use, decided once over the images of all roles.

Were each role scaled by its own range, a release that is darker than real images would look as bright as they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from counterproof.refusal import Refusal

DEPTHS = (8, 12, 16)  # 8-bit values in a wider type, sensors, full 16 bits
HALF = 128  # floats of 0 to 255 reach the upper half; those that end a little above 1 are something else


@dataclass(frozen=True, slots=True)
class Span:
    """The least and the greatest number of images.

    Attributes:
        kind: Bytes, whole numbers of a wider type, or floats.
        low: The least.
        high: The greatest.
    """

    kind: Literal["byte", "whole", "float"]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Scale:
    """How numbers become 8-bit.

    Attributes:
        bits: Of whole numbers in a type wider than 8 bits.
        low: The float that is black.
        high: The float that is white.
        masks: Whether whole numbers are 0 and 1 alone, of 8 bits too.
    """

    bits: int = 16
    low: float = 0.0
    high: float = 1.0
    masks: bool = False


USUAL = Scale()


def span_of(values: NDArray[Any]) -> Span | None:
    """The range of an image's numbers; None for booleans, which have but one."""
    if values.dtype.kind == "b":
        return None
    kind: Literal["byte", "whole", "float"] = "byte" if values.dtype == np.uint8 else "whole"
    return Span("float" if values.dtype.kind == "f" else kind, float(values.min()), float(values.max()))


def joined(spans: Iterable[Span | None]) -> dict[str, Span]:
    """The range of several images, by kind."""
    found: dict[str, Span] = {}
    for span in spans:
        if span is not None:
            before = found.get(span.kind, span)
            found[span.kind] = Span(span.kind, min(before.low, span.low), max(before.high, span.high))
    return found


def scale_for(spans: Sequence[tuple[str, Mapping[str, Span]]]) -> Scale:
    """The scale of all images.

    Args:
        spans: Each source's name, and the range of its images by kind.

    Raises:
        Refusal: A range is none that images have.
    """
    whole = [(source, kinds["whole"]) for source, kinds in spans if "whole" in kinds]
    floats = [(source, kinds["float"]) for source, kinds in spans if "float" in kinds]
    every = [span for _, kinds in spans for span in kinds.values()]
    masks = all(span.kind != "float" and span.low >= 0 and span.high <= 1 for span in every)
    bits, low, high = USUAL.bits, USUAL.low, USUAL.high
    if whole:
        source, most = max(whole, key=lambda one: one[1].high)
        least_source, least = min(whole, key=lambda one: one[1].low)
        if least.low < 0:
            raise Refusal(f"{least_source}: images hold negative numbers ({least.low:.0f}); store 8-bit integers")
        if most.high >= 2 ** DEPTHS[-1]:
            raise Refusal(
                f"{source}: images hold whole numbers up to {most.high:.0f}, more than 16 bits; store 8-bit integers"
            )
        bits = next(depth for depth in DEPTHS if most.high < 2**depth)
    if floats:
        source, most = max(floats, key=lambda one: one[1].high)
        least_source, least = min(floats, key=lambda one: one[1].low)
        if least.low >= 0 and most.high <= 1:
            low, high = 0.0, 1.0
        elif -1 <= least.low < 0 and most.high <= 1:
            low, high = -1.0, 1.0
        elif least.low >= 0 and HALF <= most.high <= 255:
            low, high = 0.0, 255.0
        else:
            odd = source if most.high > 1 else least_source
            raise Refusal(
                f"{odd}: float images hold numbers from {least.low:.4g} to {most.high:.4g}, which may stand for "
                "several ranges; store floats from 0 to 1 or from -1 to 1, or 8-bit integers"
            )
    return Scale(bits=bits, low=low, high=high, masks=masks and any(span.high == 1 for span in every))


def to_bytes(values: NDArray[Any], scale: Scale) -> tuple[NDArray[np.uint8], str]:
    """Pixels as 8-bit, and what a reader should know of it.

    >>> to_bytes(np.array([0, 65535], dtype=np.uint16), Scale())[0].tolist()
    [0, 255]
    >>> to_bytes(np.array([0, 200], dtype=np.uint16), Scale(bits=8))[0].tolist()
    [0, 200]
    >>> to_bytes(np.array([-1.0, 1.0]), Scale(low=-1.0))
    (array([  0, 255], dtype=uint8), 'floats from -1 to 1')
    """
    kind = values.dtype.kind
    if kind == "b":
        return (values * np.uint8(255)).astype(np.uint8), "booleans"
    if kind == "f":
        part = (np.clip(values, scale.low, scale.high) - scale.low) / (scale.high - scale.low)
        return np.rint(part * 255.0).astype(np.uint8), f"floats from {scale.low:g} to {scale.high:g}"
    if scale.masks:
        return (np.clip(values, 0, 1) * 255).astype(np.uint8), "0 and 1 alone, and were read as black and white"
    if values.dtype == np.uint8:
        return values, ""
    most = 2**scale.bits - 1
    pixels = np.rint(np.clip(values, 0, most) * (255.0 / most)).astype(np.uint8)
    used = f"stored in more than 8 bits, of which they use {scale.bits}, and were scaled by those"
    return pixels, "16-bit" if scale.bits == DEPTHS[-1] else used
