"""Features in shards of 512 images: each is stored once computed, so that an interrupted audit resumes.

A shard is found again by the digests of its pixels, of the encoder and of the protocol; images
added to the end of a role leave the shards before them as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from counterproof.encoders.base import Encoder
from counterproof.encoders.batches import batches
from counterproof.encoders.feature_cache import Cache, key_of
from counterproof.encoders.reencoding import Reencoding, protocol_of
from counterproof.inputs.digests import joint_digest
from counterproof.inputs.image_scan import ImageScan
from counterproof.inputs.images import Pixels
from counterproof.inputs.timings import Timings
from counterproof.refusal import Refusal

SHARD = 512  # images: some 2.6 MB of features


@dataclass(frozen=True, eq=False)
class Shard:
    """Some consecutive images of a role.

    Attributes:
        scan: The role's images.
        rows: Which of them.
        key: Key of their features in the cache.
    """

    scan: ImageScan
    rows: range
    key: str


def features_of(
    scans: Sequence[ImageScan],
    encoder: Encoder,
    cache: Cache,
    *,
    before: Reencoding | None = None,
    progress: Callable[[int, int], None] | None = None,
    timings: Timings | None = None,
) -> tuple[NDArray[np.float32], bool]:
    """Features of all roles, one after the other, and whether all came from the cache.

    Shards with the same images in several roles are encoded once.

    Args:
        scans: The images of each role.
        encoder: What encodes them.
        cache: Where shards are kept.
        before: Applied to every image before it is encoded.
        progress: Called with the number of images that have features, and of all.
        timings: Where the time of each stage is added.

    Raises:
        Refusal: The encoder fails, or an image is no longer there.
    """
    shards = [shard for scan in scans for shard in _shards(scan, encoder, before)]
    held = {shard.key: found for shard in shards if (found := _cached(cache, shard)) is not None}
    missing = list({shard.key: shard for shard in shards if shard.key not in held}.values())
    total, wanted = (sum(len(shard.rows) for shard in some) for some in (shards, missing))
    done = None if progress is None else partial(_report, progress, total - wanted, total)
    images = (partial(_pixels, shard.scan, row, before) for shard in missing for row in shard.rows)
    with closing(batches(encoder, images, done=done, timings=timings)) as made:
        for shard, features in zip(missing, _repartition(made, [len(shard.rows) for shard in missing]), strict=True):
            cache.write(shard.key, features)
            held[shard.key] = features
    if len({part.shape[1] for part in held.values()}) > 1:
        raise Refusal(f"the encoder {encoder.name} gives features of different lengths")
    return np.concatenate([held[shard.key] for shard in shards]), not missing


def _shards(scan: ImageScan, encoder: Encoder, before: Reencoding | None) -> Iterator[Shard]:
    protocol = protocol_of(encoder.protocol, before)
    count = len(scan.places)
    for start in range(0, count, SHARD):
        rows = range(start, min(start + SHARD, count))
        content = joint_digest(scan.digests[rows.start : rows.stop])
        yield Shard(scan, rows, key_of(content, encoder.digest, protocol))


def _cached(cache: Cache, shard: Shard) -> NDArray[np.float32] | None:
    found = cache.read(shard.key)
    return found if found is not None and len(found) == len(shard.rows) else None


def _pixels(scan: ImageScan, row: int, before: Reencoding | None) -> Pixels:
    pixels = scan.read(row)
    return pixels if before is None else before(pixels)


def _report(progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _repartition(stream: Iterator[NDArray[np.float32]], sizes: Sequence[int]) -> Iterator[NDArray[np.float32]]:
    """The rows of a stream in pieces of other sizes.

    >>> [piece.tolist() for piece in _repartition(iter([np.arange(4), np.arange(4, 7)]), [3, 3, 1])]
    [[0, 1, 2], [3, 4, 5], [6]]
    """
    rest: list[NDArray[np.float32]] = []
    for size in sizes:
        while sum(map(len, rest)) < size:
            rest.append(next(stream))
        joined = np.concatenate(rest)
        yield joined[:size]
        rest = [joined[size:]]
