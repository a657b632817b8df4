"""A role's images looked through: which can be read, their digests and formats, what is remarkable."""

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
from counterproof.inputs.image_sources import Shelf
from counterproof.inputs.images import Pixels, Unreadable, pixel_digest
from counterproof.inputs.tables import Table
from counterproof.inputs.threads import ordered
from counterproof.inputs.timings import Journal
from counterproof.refusal import Refusal, listed

PIECE = 32  # images that a thread looks through at a time


@dataclass(eq=False)
class Room:
    """Memory for decoded pixels, so that no image is decoded twice while there is any left.

    Attributes:
        free: Bytes.
    """

    free: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take(self, size: int) -> bool:
        """Whether there were so many bytes left; they are taken."""
        with self._lock:
            fits = size <= self.free
            self.free -= size if fits else 0
        return fits


@dataclass(frozen=True, eq=False, kw_only=True)
class Survey:
    """One role's images, looked through.

    Attributes:
        shelf: Where they stand.
        places: Places on the shelf of those that can be read.
        digests: ``(n,)`` of their pixels.
        largest: The longest side of all.
        formats: ``(n,)`` how each is stored; see :class:`counterproof.inputs.images.Picture`.
        notes: What was remarkable.
        kept: Pixels of some, by place, until they are encoded.
    """

    shelf: Shelf
    places: list[int]
    digests: NDArray[np.bytes_]
    largest: int
    formats: NDArray[np.str_]
    notes: list[str]
    kept: dict[int, Pixels] = field(default_factory=dict, repr=False)

    @property
    def table(self) -> Table | None:
        """The table beside the images, without the unreadable ones."""
        held = self.shelf.table
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
            return self.shelf.read(place).pixels
        except Unreadable:
            raise Refusal(f"{self.shelf.source}: {self.shelf.names[place]!r} changed during the audit") from None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one image that can be read."""

    place: int
    digest: bytes
    side: int
    stored: str
    remark: str


def survey_of(
    shelf: Shelf,
    bad_images: float = 0.01,
    *,
    done: Callable[[int], None] | None = None,
    journal: Journal | None = None,
    room: Room | None = None,
) -> Survey:
    """Decode every image once, on all cores.

    Args:
        shelf: Where they stand.
        bad_images: Share that may be unreadable; these are left out.
        done: Called with the number of images seen so far.
        journal: Where to write what decoding took.
        room: Where there is memory for their pixels until they are encoded.

    Raises:
        Refusal: More than ``bad_images`` of them cannot be read, or none can.
    """
    kept: dict[int, Pixels] = {}
    written, larder = journal or Journal(), room or Room()
    seen: list[Seen | None] = []

    def work(places: list[int]) -> list[Seen | None]:
        return [_look(shelf, place, kept, larder, written) for place in places]

    with closing(ordered(work, _pieces(len(shelf.names)))) as pieces:
        for piece in pieces:
            for one in piece:
                seen.append(one)
                if done:
                    done(len(seen))
    return _summed_up(shelf, seen, bad_images, kept)


def _pieces(count: int) -> Iterator[list[int]]:
    places = iter(range(count))
    return iter(lambda: list(islice(places, PIECE)), [])


def _look(shelf: Shelf, place: int, kept: dict[int, Pixels], room: Room, journal: Journal) -> Seen | None:
    """One image, or None where it cannot be read."""
    with journal.stage("decode"):
        try:
            picture = shelf.read(place)
        except Unreadable:
            return None
        pixels = picture.pixels
        found = Seen(place, pixel_digest(pixels), max(pixels.shape[:2]), picture.stored, picture.remark)
    if picture.stored != "array" and room.take(pixels.nbytes):  # arrays are in memory already
        kept[place] = pixels
    return found


def _summed_up(shelf: Shelf, seen: list[Seen | None], bad_images: float, kept: dict[int, Pixels]) -> Survey:
    count = len(seen)
    held = [one for one in seen if one is not None]
    bad = [name for name, one in zip(shelf.names, seen, strict=True) if one is None]
    if len(bad) > bad_images * count or not held:
        raise Refusal(f"{shelf.source}: {len(bad)} of {count} images cannot be read: {listed(bad)}")
    remarks = Counter(one.remark for one in held)
    notes = [*shelf.notes, *(f"{n} of {count} images were {what}" for what, n in sorted(remarks.items()) if what)]
    if bad:
        notes.append(f"{len(bad)} of {count} images cannot be read and were left out: {listed(bad, 20)}")
    return Survey(
        shelf=shelf,
        places=[one.place for one in held],
        digests=packed([one.digest for one in held]),
        largest=max(one.side for one in held),
        formats=np.array([one.stored for one in held], dtype=np.str_),
        notes=notes,
        kept=kept,
    )
