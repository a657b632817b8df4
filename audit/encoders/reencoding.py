"""Re-encoding: images of all roles stored in one format before they are encoded.

Real photographs are often JPEG and a release PNG, and an encoder sees the compression. Where the
roles are stored differently, every image is written as JPEG of one quality and one chroma
subsampling and read again; JPEG of that quality already hardly changes, and what was lossless
loses what the others had lost. Source: Grommelt et al., Fake or JPEG?, arXiv:2403.17608.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from counterproof.encoders.base import Encoder
from counterproof.encoders.batches import encode
from counterproof.encoders.feature_cache import Cache, key_of
from counterproof.inputs.digests import joint_digest
from counterproof.inputs.images import Pixels
from counterproof.metrics.sample import Floats, Rows
from counterproof.metrics.shared.image_formats import (
    LOSSLESS,
    UNKNOWN_QUALITY,
    Formats,
    describe_formats,
    qualities,
    stored_alike,
)

Recode = Literal["auto", "never"]
SMALLEST = 16  # pixels: one block of a JPEG with subsampled colours
POOR = 0.1  # a role counts as good as all but this share of its lossy images
SUBSAMPLED = 2  # 4:2:0, which most JPEG files have


@dataclass(frozen=True)
class Reencoding:
    """JPEG of one quality, written and read again.

    Attributes:
        quality: From 1 to 100.

    >>> Reencoding(75)(np.full((20, 30, 3), 80, dtype=np.uint8)).shape
    (20, 30, 3)
    """

    quality: int

    def __call__(self, pixels: Pixels) -> Pixels:
        """``(h, w, 3)`` pixels after JPEG."""
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=self.quality, subsampling=SUBSAMPLED)
        return np.asarray(Image.open(file).convert("RGB"), dtype=np.uint8)

    @property
    def protocol(self) -> str:
        """Its part of the protocol line."""
        return f"re-encoded as JPEG q{self.quality} 4:2:0"


@dataclass(frozen=True, kw_only=True)
class ReencodingPlan:
    """Whether and how the images of an audit are stored alike.

    Attributes:
        alike: What stores all roles alike; None where they are so already, or cannot be.
        applied: Whether the audit itself is made on images stored alike.
        findings: How each role is stored, and what was done about it.
    """

    alike: Reencoding | None = None
    applied: bool = False
    findings: tuple[str, ...] = ()

    @property
    def before(self) -> Reencoding | None:
        """Applied to every image before it is encoded; None for nothing."""
        return self.alike if self.applied else None


def plan_reencoding(formats: Mapping[str, Formats], *, largest: int, recode: Recode = "auto") -> ReencodingPlan:
    """Whether images are to be stored alike, and how.

    The quality is the lowest of the roles'; a role's is that of all but its poorest tenth, so that
    a few bad files do not cost all images their detail.

    Args:
        formats: Of each role.
        largest: The longest side of all images; none under :data:`SMALLEST` is worth a JPEG.
        recode: ``auto`` makes the audit on images stored alike where roles differ.
    """
    if all(stored_alike(a, b) for a, b in combinations(formats.values(), 2)):
        return ReencodingPlan()
    who = _storage_of_roles(formats)
    if largest < SMALLEST:
        risk = f"images of {largest} pixels are too small to be re-encoded alike"
        return ReencodingPlan(findings=(f"{who}: {risk}, so that compression may be mistaken for fakeness",))
    found = [_quality(qualities(role)) for role in formats.values()]
    alike = Reencoding(min((quality for quality in found if quality is not None), default=UNKNOWN_QUALITY))
    if recode == "auto":
        done = f"all were {alike.protocol} before encoding, so that compression is not mistaken for fakeness"
    else:
        done = 'they were compared as stored (recode = "never"), so that compression may be mistaken for fakeness'
    return ReencodingPlan(alike=alike, applied=recode == "auto", findings=(f"{who}: {done}",))


def _storage_of_roles(formats: Mapping[str, Formats]) -> str:
    """Roles by storage format, in words."""
    roles: dict[str, list[str]] = {}
    for role, found in formats.items():
        roles.setdefault(describe_formats(found), []).append(role)
    named = list(roles.items())
    first = f"{'is' if len(named[0][1]) == 1 else 'are'} stored "
    return ", ".join(f"{' and '.join(held)} {'' if at else first}as {told}" for at, (told, held) in enumerate(named))


def _quality(found: NDArray[np.intp]) -> int | None:
    lossy = found[found < LOSSLESS]
    if not len(lossy) or len(lossy) < POOR * len(found):
        return None
    return max(1, int(np.quantile(lossy, POOR, method="lower")))


def protocol_of(encoder: str, before: Reencoding | None) -> str:
    """The protocol line: numbers of differently stored images are never compared."""
    return encoder if before is None else f"{encoder}, {before.protocol}"


@dataclass(frozen=True, eq=False, kw_only=True)
class StorageVariants:
    """Features of a few images in both forms: as stored, and after all were stored alike.

    One of the two is what the corpus holds; the other is encoded when asked for, and kept like all
    features.

    Attributes:
        plan: Which of the two the corpus holds.
        features: ``(n, d)`` of the corpus.
        read: Pixels of the image at a position of the corpus, as stored.
        digests: ``(n,)`` of these pixels.
        encoder: What encodes them.
        cache: Where features are kept.
    """

    plan: ReencodingPlan
    features: NDArray[np.float32]
    read: Callable[[int], Pixels]
    digests: NDArray[np.bytes_]
    encoder: Encoder
    cache: Cache

    def alike(self, rows: Rows) -> Floats:
        """``(len(rows), d)`` features of images stored alike."""
        return self._held(rows) if self.plan.applied else self._made(rows, self.plan.alike)

    def as_stored(self, rows: Rows) -> Floats:
        """``(len(rows), d)`` features of the images as they are stored."""
        return self._made(rows, None) if self.plan.applied else self._held(rows)

    def pixels(self, position: int) -> Pixels:
        """One image as the audit sees it."""
        before, image = self.plan.before, self.read(position)
        return image if before is None else before(image)

    def _held(self, rows: Rows) -> Floats:
        return self.features[rows].astype(np.float64)

    def _made(self, rows: Rows, before: Reencoding | None) -> Floats:
        """Encoded in batches: no more than one batch of pixels is in memory."""
        key = key_of(joint_digest(self.digests[rows]), self.encoder.digest, protocol_of(self.encoder.protocol, before))
        made = self.cache.read(key)
        if made is None or len(made) != len(rows):
            made = encode(self.encoder, stored_alike_first(before, map(self.read, rows.tolist())))
            self.cache.write(key, made)
        return made.astype(np.float64)


def stored_alike_first(recoding: Reencoding | None, images: Iterable[Pixels]) -> Iterable[Pixels]:
    """The images once they are stored alike, one at a time."""
    return images if recoding is None else map(recoding, images)
