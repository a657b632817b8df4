"""Images of all roles: scanned once, encoded once, and read again on demand."""

from __future__ import annotations

from collections import Counter
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
from counterproof.encoders.reencoding import Recode, Reencoding, StorageVariants, plan_reencoding, protocol_of
from counterproof.encoders.registry import encoder_for
from counterproof.inputs.alignment import Wanted, positions
from counterproof.inputs.arrays import Arrays
from counterproof.inputs.digests import joint_digest
from counterproof.inputs.image_scan import ImageScan, MemoryBudget, scan_images
from counterproof.inputs.image_sources import image_source_of
from counterproof.inputs.images import Pixels, thumbnail
from counterproof.inputs.labels_and_groups import described
from counterproof.inputs.pixel_scale import USUAL, scale_for
from counterproof.inputs.timings import Timings
from counterproof.loading.intake import Intake, Progress
from counterproof.metrics.sample import Corpus

if TYPE_CHECKING:
    from torch import nn

MANY_SIZES = 1.25  # how far the median sides of roles of many sizes may lie apart
LABEL = "label"  # the column that class folders fill


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
    timings = Timings()
    scans = _scans(sources, how, timings)
    found = described({role: (scan.table, scan.images.source) for role, scan in scans.items()}, wanted)
    largest = max(scan.largest for scan in scans.values())
    encoder = _encoder(how, largest, timings)
    plan = plan_reencoding({role: s.formats for role, s in scans.items()}, largest=largest, recode=how.recode)
    features, cached, encoder = _encoded(scans, encoder, how, plan.before, timings)
    digests, read = np.concatenate([scan.digests for scan in scans.values()]), _reader(list(scans.values()))
    variants = StorageVariants(
        plan=plan, features=features, read=read, digests=digests, encoder=encoder, cache=cache_in(how.cache)
    )
    corpus = Corpus(
        features=features,
        protocol=protocol_of(encoder.protocol, plan.before),
        modality="image",
        digests=digests,
        names=np.array([s.images.names[place] for s in scans.values() for place in s.places], dtype=np.str_),
        label=found.label,
        labels=found.labels,
        no_labels=found.no_labels,
        groups=found.groups,
        clusters=found.clusters,
        cluster=wanted.cluster or "",
        thumbnail=lambda position: thumbnail(read(position)),
        pixels=variants.pixels,
        head=encoder.head,
        formats=np.concatenate([scan.formats for scan in scans.values()]),
        recoded=variants.alike if plan.alike else None,
        as_stored=variants.as_stored if plan.alike else None,
    )
    return Intake(
        corpus=corpus,
        roles=positions({role: len(scan.places) for role, scan in scans.items()}),
        sources=names,
        digests={role: joint_digest(scan.digests) for role, scan in scans.items()},
        notes={role: scan.notes for role, scan in scans.items()},
        findings=[
            *size_findings(scans),
            *found.findings,
            *_unused_labels(scans, wanted),
            *plan.findings,
            *timings.remarks,
        ],
        encoder=encoder.name,
        encoder_digest=encoder.digest,
        cached=cached,
        stages=dict(timings.seconds),
    )


def _unused_labels(scans: Mapping[str, ImageScan], wanted: Wanted) -> list[str]:
    """That the images of all roles carry labels which the audit was not asked to use."""
    held = all(scan.table is not None and LABEL in scan.table.frame.columns for scan in scans.values())
    if wanted.label or not held or LABEL in wanted.groups:
        return []
    return [f"the images carry labels (class folders or metadata) that are not used: add --label {LABEL}"]


def _scans(sources: Mapping[str, Path | Arrays], how: Encoding, timings: Timings) -> dict[str, ImageScan]:
    """The images of all roles, scanned."""
    found = {role: image_source_of(source) for role, source in sources.items()}
    total = sum(len(images.names) for images in found.values())

    def scan() -> dict[str, ImageScan]:
        budget, scans, before = MemoryBudget(how.memory), {}, 0
        for role, images in found.items():
            done = _counter(how.progress, "reading images", before, total)
            scans[role] = scan_images(images, how.bad_images, done=done, timings=timings, budget=budget)
            before += len(images.names)
        return scans

    scans = scan()
    scale = scale_for([(scan.images.source, scan.spans) for scan in scans.values()])
    if scale == USUAL:
        return scans
    for images in found.values():  # what range numbers use is known when all were read: read them again by it
        images.scale = scale
    return scan()


def size_findings(scans: Mapping[str, ImageScan]) -> list[str]:
    """That the pictures of some roles differ in size from those of others, which is seen before anything else is.

    A role has one size where nine of ten of its pictures do; of others the median of the longer side counts.
    """
    told: dict[str, str] = {}
    middle: dict[str, float] = {}
    for role, scan in scans.items():
        (height, width), count = Counter(scan.shapes).most_common(1)[0]
        middle[role] = float(np.median([max(shape) for shape in scan.shapes]))
        one = count >= 0.9 * len(scan.shapes)
        told[role] = (
            f"{width} × {height}" if one else f"of many sizes, their longer side {middle[role]:.0f} at the median"
        )
    fixed = {role for role in told if "many" not in told[role]}
    alike = len(set(told.values())) == 1 if fixed else max(middle.values()) <= MANY_SIZES * min(middle.values())
    if alike:
        return []
    sizes = ", ".join(f"{role} {size}" for role, size in told.items())
    return [f"the pictures of the roles differ in size: {sizes}; an encoder sees what resizing them leaves"]


def _encoder(how: Encoding, largest: int, timings: Timings) -> Encoder:
    """What was asked for, on the CPU where its weights alone are too much for the GPU."""
    try:
        return encoder_for(how.encoder, largest=largest, side=how.size, device=how.device)
    except torch.cuda.OutOfMemoryError:
        timings.remarks.append("the GPU has no memory for the encoder: images were encoded on the CPU")
    return encoder_for(how.encoder, largest=largest, side=how.size, device="cpu")


def _encoded(
    scans: Mapping[str, ImageScan], encoder: Encoder, how: Encoding, before: Reencoding | None, timings: Timings
) -> tuple[NDArray[np.float32], bool, Encoder]:
    """Features of all roles, whether all came from the cache, and the encoder: on the CPU if a GPU is too small."""

    def report(done: int, total: int) -> None:
        if how.progress is not None:
            how.progress("encoding images", done, total)

    make = partial(
        features_of,
        list(scans.values()),
        cache=cache_in(how.cache),
        before=before,
        progress=report,
        timings=timings,
    )
    try:
        features, cached = make(encoder)
    except torch.cuda.OutOfMemoryError:
        timings.images_at_once = None
        timings.remarks.append("the GPU has no memory for a single image: images were encoded on the CPU")
        encoder = encoder_for(how.encoder, largest=encoder.side, side=encoder.side, device="cpu")
        features, cached = make(encoder)
    if timings.images_at_once is not None:
        timings.remarks.append(f"the GPU ran out of memory: images were encoded {timings.images_at_once} at a time")
    for scan in scans.values():
        scan.kept.clear()
    return features, cached, encoder


def _counter(progress: Progress | None, stage: str, before: int, total: int) -> Callable[[int], None] | None:
    if progress is None:
        return None
    report = progress
    return lambda done: report(stage, before + done, total)


def _reader(scans: list[ImageScan]) -> Callable[[int], Pixels]:
    """Pixels of the image at a position of the corpus."""
    starts = np.cumsum([0, *(len(scan.places) for scan in scans)])

    def read(position: int) -> Pixels:
        if not 0 <= position < starts[-1]:
            raise IndexError(f"there is no image {position}")
        role = int(np.searchsorted(starts, position, side="right")) - 1
        return scans[role].read(position - int(starts[role]))

    return read
