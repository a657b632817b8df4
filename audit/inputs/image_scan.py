"""A scan of a role's images: which can be read, their digests and formats, and remarks."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from counterproof.inputs.digests import packed
from counterproof.inputs.image_sources import ImageSource, counted
from counterproof.inputs.images import Pixels, Unreadable, pixel_digest
from counterproof.inputs.pixel_scale import Span, joined
from counterproof.inputs.tables import Table
from counterproof.inputs.threads import results_in_order
from counterproof.inputs.timings import Timings
from counterproof.refusal import Refusal, listed

PIECE = 32  # images that a thread scans at a time


@dataclass(eq=False)
class MemoryBudget:
    """Memory for decoded pixels: images that fit are kept and need not be decoded again.

    Attributes:
        free: Bytes left.
    """

    free: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take(self, size: int) -> bool:
        """Reserve so many bytes; False where there are not so many left."""
        with self._lock:
            fits = size <= self.free
            self.free -= size if fits else 0
        return fits


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageScan:
    """Result of scanning one role's images.

    Attributes:
        images: Their source.
        places: Positions in the source of those that can be read.
        digests: ``(n,)`` of their pixels.
        largest: The longest side of all.
        formats: ``(n,)`` how each is stored; see :class:`counterproof.inputs.images.Picture`.
        notes: Remarks on conversions and unreadable images.
        shapes: Height and width of each.
        spans: The range of their numbers as they are stored, by kind.
        kept: Pixels of some, by position, until they are encoded.
    """

    images: ImageSource
    places: list[int]
    digests: NDArray[np.bytes_]
    largest: int
    formats: NDArray[np.str_]
    notes: list[str]
    shapes: list[tuple[int, int]]
    spans: dict[str, Span]
    kept: dict[int, Pixels] = field(default_factory=dict, repr=False)

    @property
    def table(self) -> Table | None:
        """The table beside the images, without the unreadable ones."""
        held = self.images.table
        return held and Table(held.frame.iloc[self.places].reset_index(drop=True), held.source, held.typed)

    def read(self, row: int) -> Pixels:
        """One image again.

        Raises:
            Refusal: It is no longer there.
        """
        place = self.places[row]
        held = self.kept.get(place)
        if held is not None:
            return held
        try:
            return self.images.read(place).pixels
        except Unreadable:
            raise Refusal(f"{self.images.source}: {self.images.names[place]!r} changed during the audit") from None


@dataclass(frozen=True, slots=True)
class ScannedImage:
    """What is known of one image that can be read."""

    place: int
    digest: bytes
    shape: tuple[int, int]
    stored: str
    remark: str
    span: Span | None


def scan_images(
    images: ImageSource,
    bad_images: float = 0.01,
    *,
    done: Callable[[int], None] | None = None,
    timings: Timings | None = None,
    budget: MemoryBudget | None = None,
) -> ImageScan:
    """Decode every image once, on all cores.

    Args:
        images: Their source.
        bad_images: Share that may be unreadable; these are left out.
        done: Called with the number of images seen so far.
        timings: Where the time of decoding is added.
        budget: Memory for their pixels until they are encoded.

    Raises:
        Refusal: More than ``bad_images`` of them cannot be read, or none can, or of as many files it cannot be said
            that they hold no image.
    """
    kept: dict[int, Pixels] = {}
    written, kept_budget = timings or Timings(), budget or MemoryBudget()
    seen: list[ScannedImage | None] = []

    def work(places: list[int]) -> list[ScannedImage | None]:
        return [_scan_one(images, place, kept, kept_budget, written) for place in places]

    with closing(results_in_order(work, _pieces(len(images.names)))) as pieces:
        for piece in pieces:
            for one in piece:
                seen.append(one)
                if done:
                    done(len(seen))
    return _summary(images, seen, bad_images, kept)


def _pieces(count: int) -> Iterator[list[int]]:
    places = iter(range(count))
    return iter(lambda: list(islice(places, PIECE)), [])


def _scan_one(
    images: ImageSource, place: int, kept: dict[int, Pixels], budget: MemoryBudget, timings: Timings
) -> ScannedImage | None:
    """One image, or None where it cannot be read."""
    with timings.stage("decode"):
        try:
            picture = images.read(place)
        except Unreadable:
            return None
        pixels = picture.pixels
        height, width = pixels.shape[:2]
        found = ScannedImage(place, pixel_digest(pixels), (height, width), picture.stored, picture.remark, picture.span)
    if picture.stored != "array" and budget.take(pixels.nbytes):  # arrays are in memory already
        kept[place] = pixels
    return found


def _summary(
    images: ImageSource, seen: list[ScannedImage | None], bad_images: float, kept: dict[int, Pixels]
) -> ImageScan:
    count = len(seen)
    held = [one for one in seen if one is not None]
    bad = [name for name, one in zip(images.names, seen, strict=True) if one is None]
    if len(bad) > bad_images * count or not held:
        raise Refusal(f"{images.source}: {len(bad)} of {count} images cannot be read: {listed(bad)}")
    skipped, files = images.skipped.total(), count + images.skipped.total()
    if skipped > bad_images * files:
        raise Refusal(
            f"{images.source}: {skipped} of {files} files were not looked at: {counted(images.skipped)}; "
            "store them as PNG or JPEG in the folder itself, remove them, or raise bad_images"
        )
    remarks = Counter(one.remark for one in held)
    notes = [*images.notes, *(f"{n} of {count} images were {what}" for what, n in sorted(remarks.items()) if what)]
    if skipped:
        notes.append(f"{skipped} of {files} files were not looked at: {counted(images.skipped)}")
    if bad:
        notes.append(f"{len(bad)} of {count} images cannot be read and were left out: {listed(bad, 20)}")
    return ImageScan(
        images=images,
        places=[one.place for one in held],
        digests=packed([one.digest for one in held]),
        largest=max(max(one.shape) for one in held),
        shapes=[one.shape for one in held],
        spans=joined(one.span for one in held),
        formats=np.array([one.stored for one in held], dtype=np.str_),
        notes=notes,
        kept=kept,
    )
