"""Images of all roles: looked through once, encoded once, and shown again on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from counterproof.encoders.base import Encoder
from counterproof.encoders.feature_cache import cache_in
from counterproof.encoders.feature_shards import features_of
from counterproof.encoders.reencoding import Recode, Recoding, Retake, plan_for, protocol_of
from counterproof.encoders.registry import encoder_for
from counterproof.inputs.alignment import Wanted, positions
from counterproof.inputs.arrays import Arrays
from counterproof.inputs.digests import joint_digest
from counterproof.inputs.image_scan import Room, Survey, survey_of
from counterproof.inputs.image_sources import shelf_of
from counterproof.inputs.images import Pixels, thumbnail
from counterproof.inputs.labels_and_groups import described
from counterproof.inputs.timings import Journal
from counterproof.loading.intake import Intake, Progress
from counterproof.metrics.sample import Corpus

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Encoding:
    """How images are encoded; see :func:`counterproof.loading.load.take_in`."""

    encoder: str | Path | nn.Module = "auto"
    size: int | None = None
    bad_images: float = 0.01
    cache: Path | str | None = "auto"
    progress: Progress | None = None
    device: str = "cpu"
    recode: Recode = "auto"
    memory: int = 256 * 2**20


def take_in_images(
    sources: Mapping[str, Path | Arrays], wanted: Wanted, names: dict[str, str], how: Encoding
) -> Intake:
    """Read and encode the images of an audit; see :func:`counterproof.loading.load.take_in`.

    Raises:
        Refusal: There are no images, too many cannot be read, or their labels cannot be found.
    """
    journal = Journal()
    surveys = _surveys(sources, how, journal)
    found = described({role: (survey.table, survey.shelf.source) for role, survey in surveys.items()}, wanted)
    largest = max(survey.largest for survey in surveys.values())
    encoder = _encoder(how, largest, journal)
    plan = plan_for({role: s.formats for role, s in surveys.items()}, largest=largest, recode=how.recode)
    features, cached, encoder = _encoded(surveys, encoder, how, plan.before, journal)
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
        no_labels=found.no_labels,
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
        findings=[*found.findings, *plan.findings, *journal.remarks],
        encoder=encoder.name,
        encoder_digest=encoder.digest,
        cached=cached,
        stages=dict(journal.spent),
    )


def _surveys(sources: Mapping[str, Path | Arrays], how: Encoding, journal: Journal) -> dict[str, Survey]:
    """The images of all roles, looked through."""
    shelves = {role: shelf_of(source) for role, source in sources.items()}
    total = sum(len(shelf.names) for shelf in shelves.values())
    room = Room(how.memory)
    surveys: dict[str, Survey] = {}
    before = 0
    for role, shelf in shelves.items():
        done = _counter(how.progress, "reading images", before, total)
        surveys[role] = survey_of(shelf, how.bad_images, done=done, journal=journal, room=room)
        before += len(shelf.names)
    return surveys


def _encoder(how: Encoding, largest: int, journal: Journal) -> Encoder:
    """What was asked for, on the CPU where its weights alone are too much for the GPU."""
    try:
        return encoder_for(how.encoder, largest=largest, side=how.size, device=how.device)
    except torch.cuda.OutOfMemoryError:
        journal.remarks.append("the GPU has no memory for the encoder: images were encoded on the CPU")
    return encoder_for(how.encoder, largest=largest, side=how.size, device="cpu")


def _encoded(
    surveys: Mapping[str, Survey], encoder: Encoder, how: Encoding, before: Recoding | None, journal: Journal
) -> tuple[NDArray[np.float32], bool, Encoder]:
    """Features of all roles, whether all came from the cache, and what made them: the CPU where a GPU is too small."""

    def told(done: int, total: int) -> None:
        if how.progress is not None:
            how.progress("encoding images", done, total)

    make = partial(
        features_of, list(surveys.values()), cache=cache_in(how.cache), before=before, progress=told, journal=journal
    )
    try:
        features, cached = make(encoder)
    except torch.cuda.OutOfMemoryError:
        journal.fits = None
        journal.remarks.append("the GPU has no memory for a single image: images were encoded on the CPU")
        encoder = encoder_for(how.encoder, largest=encoder.side, side=encoder.side, device="cpu")
        features, cached = make(encoder)
    if journal.fits is not None:
        journal.remarks.append(f"the GPU ran out of memory: images were encoded {journal.fits} at a time")
    for survey in surveys.values():
        survey.kept.clear()
    return features, cached, encoder


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
