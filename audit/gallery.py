"""Images of all roles: looked through once, encoded once, and shown again on demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from counterproof.arrays import Arrays
from counterproof.attributes import described
from counterproof.cache import Cache, cache_in, key_of
from counterproof.digests import joint_digest, packed
from counterproof.encoders import Encoder, encoder_for
from counterproof.encoding import encode
from counterproof.images import Picture, Pixels, Unreadable, pixel_digest, thumbnail
from counterproof.intake import Intake, Progress
from counterproof.metrics.sample import Corpus
from counterproof.recoding import Recode, Recoding, Retake, after, plan_for, protocol_of
from counterproof.reconciliation import Wanted, positions
from counterproof.refusal import Refusal, listed
from counterproof.shelves import Shelf, pictures, shelf_of
from counterproof.tables import Table

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, eq=False, kw_only=True)
class Survey:
    """One role's images, looked through.

    Attributes:
        shelf: Where they stand.
        places: Places on the shelf of those that can be read.
        digests: ``(n,)`` of their pixels.
        largest: The longest side of all.
        formats: ``(n,)`` how each is stored; see :class:`counterproof.images.Picture`.
        notes: What was remarkable.
    """

    shelf: Shelf
    places: list[int]
    digests: NDArray[np.bytes_]
    largest: int
    formats: NDArray[np.str_]
    notes: list[str]

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
        try:
            return self.shelf.read(self.places[row]).pixels
        except Unreadable:
            name = self.shelf.names[self.places[row]]
            raise Refusal(f"{self.shelf.source}: {name!r} changed during the audit") from None


@dataclass(frozen=True)
class Encoding:
    """How images are encoded; see :func:`counterproof.intake.take_in`."""

    encoder: str | Path | nn.Module = "auto"
    size: int | None = None
    bad_images: float = 0.01
    cache: Path | str | None = "auto"
    progress: Progress | None = None
    device: str = "cpu"
    recode: Recode = "auto"


def take_in_images(
    sources: Mapping[str, Path | Arrays], wanted: Wanted, names: dict[str, str], how: Encoding
) -> Intake:
    """Read and encode the images of an audit; see :func:`counterproof.intake.take_in`.

    Raises:
        Refusal: There are no images, too many cannot be read, or their labels cannot be found.
    """
    surveys = _surveys(sources, how)
    found = described({role: (survey.table, survey.shelf.source) for role, survey in surveys.items()}, wanted)
    largest = max(survey.largest for survey in surveys.values())
    encoder = encoder_for(how.encoder, largest=largest, side=how.size, device=how.device)
    plan = plan_for({role: s.formats for role, s in surveys.items()}, largest=largest, recode=how.recode)
    features, cached = _encoded(surveys, encoder, cache_in(how.cache), how.progress, plan.before)
    digests, read = np.concatenate([survey.digests for survey in surveys.values()]), _reader(list(surveys.values()))
    retake = Retake(
        plan=plan, features=features, read=read, digests=digests, encoder=encoder, cache=cache_in(how.cache)
    )
    corpus = Corpus(
        features=features,
        protocol=protocol_of(encoder.protocol, plan.before),
        modality="image",
        digests=digests,
        names=np.array([s.shelf.names[place] for s in surveys.values() for place in s.places], dtype=np.str_),
        label=found.label,
        labels=found.labels,
        groups=found.groups,
        clusters=found.clusters,
        thumbnail=lambda position: thumbnail(read(position)),
        pixels=retake.pixels,
        head=encoder.head,
        formats=np.concatenate([survey.formats for survey in surveys.values()]),
        recoded=retake.alike if plan.alike else None,
        as_stored=retake.as_stored if plan.alike else None,
    )
    return Intake(
        corpus=corpus,
        roles=positions({role: len(survey.places) for role, survey in surveys.items()}),
        sources=names,
        digests={role: joint_digest(survey.digests) for role, survey in surveys.items()},
        notes={role: survey.notes for role, survey in surveys.items()},
        findings=[*found.findings, *plan.findings],
        encoder=encoder.name,
        encoder_digest=encoder.digest,
        cached=cached,
    )


def _surveys(sources: Mapping[str, Path | Arrays], how: Encoding) -> dict[str, Survey]:
    """The images of all roles, looked through."""
    shelves = {role: shelf_of(source) for role, source in sources.items()}
    total = sum(len(shelf.names) for shelf in shelves.values())
    surveys: dict[str, Survey] = {}
    before = 0
    for role, shelf in shelves.items():
        surveys[role] = survey_of(shelf, how.bad_images, _counter(how.progress, "reading images", before, total))
        before += len(shelf.names)
    return surveys


def survey_of(shelf: Shelf, bad_images: float = 0.01, done: Callable[[int], None] | None = None) -> Survey:
    """Decode every image once: which can be read, their digests, and what is remarkable.

    Raises:
        Refusal: More than ``bad_images`` of them cannot be read, or none can.
    """
    places: list[int] = []
    digests: list[bytes] = []
    formats: list[str] = []
    remarks: Counter[str] = Counter()
    largest = 1
    for place, picture in pictures(shelf):
        if isinstance(picture, Picture):
            places.append(place)
            digests.append(pixel_digest(picture.pixels))
            formats.append(picture.stored)
            largest = max(largest, *picture.pixels.shape[:2])
            remarks[picture.remark] += 1
        if done:
            done(place + 1)
    count = len(shelf.names)
    held = set(places)
    bad = [name for place, name in enumerate(shelf.names) if place not in held]
    if len(bad) > bad_images * count or not places:
        raise Refusal(f"{shelf.source}: {len(bad)} of {count} images cannot be read: {listed(bad)}")
    notes = [*shelf.notes, *(f"{n} of {count} images were {what}" for what, n in sorted(remarks.items()) if what)]
    if bad:
        notes.append(f"{len(bad)} of {count} images cannot be read and were left out: {listed(bad, 20)}")
    stored = np.array(formats, dtype=np.str_)
    return Survey(shelf=shelf, places=places, digests=packed(digests), largest=largest, formats=stored, notes=notes)


def _encoded(
    surveys: Mapping[str, Survey],
    encoder: Encoder,
    cache: Cache,
    progress: Progress | None,
    recoding: Recoding | None = None,
) -> tuple[NDArray[np.float32], bool]:
    """Features of all roles, and whether all came from the cache."""
    total = sum(len(survey.places) for survey in surveys.values())
    made: list[NDArray[np.float32]] = []
    fresh, before = False, 0
    for survey in surveys.values():
        key = key_of(joint_digest(survey.digests), encoder.digest, protocol_of(encoder.protocol, recoding))
        features = cache.read(key)
        if features is None or len(features) != len(survey.places):
            done = _counter(progress, "encoding images", before, total)
            features = encode(encoder, after(recoding, _again(survey)), done=done)
            cache.write(key, features)
            fresh = True
        made.append(features)
        before += len(survey.places)
    if len({part.shape[1] for part in made}) > 1:
        raise Refusal(f"the encoder {encoder.name} gives features of different lengths")
    return np.concatenate(made), not fresh


def _again(survey: Survey) -> Iterator[Pixels]:
    return (survey.read(row) for row in range(len(survey.places)))


def _counter(progress: Progress | None, stage: str, before: int, total: int) -> Callable[[int], None] | None:
    if progress is None:
        return None
    report = progress
    return lambda done: report(stage, before + done, total)


def _reader(surveys: list[Survey]) -> Callable[[int], Pixels]:
    """Pixels of the image at a position of the corpus."""
    starts = np.cumsum([0, *(len(survey.places) for survey in surveys)])

    def read(position: int) -> Pixels:
        if not 0 <= position < starts[-1]:
            raise IndexError(f"there is no image {position}")
        role = int(np.searchsorted(starts, position, side="right")) - 1
        return surveys[role].read(position - int(starts[role]))

    return read
