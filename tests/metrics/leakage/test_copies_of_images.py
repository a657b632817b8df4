"""Copies of images that were shifted, flipped, cropped or stored anew are found; fresh images are not accused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.workbenches import bench
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from counterproof.metrics.leakage._copy_search.augmented_pixels import (
    BORDER,
    Candidates,
    cropped,
    nearest_pixels,
    variants,
)
from counterproof.metrics.leakage._copy_search.perceptual_hash import (
    SIDE,
    SMALL,
    alike,
    difference_hash,
    frequency_hash,
    pictures,
    shrunk,
    smoothed,
)
from counterproof.metrics.leakage.copies import copies
from counterproof.metrics.metric import Value
from counterproof.metrics.workbench import Workbench

Images = NDArray[np.uint8]
N, SIZE = 400, 20


def shapes(rng: np.random.Generator, n: int) -> Images:
    """Smooth grey pictures: a bright bar and a few waves, on black."""
    down, along = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    made = []
    for _ in range(n):
        a, b, c, d = rng.uniform(1, 9, 4)
        waves = np.sin(a * down + rng.uniform(0, 6)) + np.sin(b * along + c * down) + np.cos(d * along * down)
        made.append(np.clip(90 + 45 * waves + 4 * rng.normal(size=(SIZE, SIZE)), 0, 255))
    return np.array(made).astype(np.uint8)


def features(images: Images) -> NDArray[np.float64]:
    """Box means with noise: an encoder that names candidates and is no judge."""
    grey = images.astype(np.float32)
    both = np.stack([shrunk(picture, 5, 5) for picture in (grey + grey[:, :, ::-1]) / 2]).reshape(len(images), -1)
    return both + np.random.default_rng(len(images)).normal(scale=8.0, size=both.shape)


def desk_of(train: Images, holdout: Images, release: Images) -> Workbench:
    images = np.concatenate([train, holdout, release])
    return bench(
        features(train),
        features(holdout),
        features(release),
        modality="image",
        digests=np.array([image.tobytes() for image in images]),
        pixels=lambda at: np.repeat(images[at][..., None], 3, axis=-1),
    )


def values(*images: Images) -> dict[str, Value]:
    return {value.field: value for value in copies.values(desk_of(*images), {})}


def three(seed: int) -> list[Images]:
    rng = np.random.default_rng(seed)
    return [shapes(rng, N) for _ in range(3)]


def shifted(images: Images) -> Images:
    return np.roll(images, (1, -1), axis=(1, 2))


def flipped(images: Images) -> Images:
    return images[:, :, ::-1]


def stored(images: Images) -> Images:
    import io

    from PIL import Image

    made = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=75)
        made.append(np.asarray(Image.open(file)))
    return np.stack(made)


def crop(images: Images) -> Images:
    return cropped(images.astype(np.float32), 1).round().astype(np.uint8)


@pytest.mark.parametrize("change", [shifted, flipped, stored, crop])
def test_changed_copies_fail_and_their_sources_are_named(change: Any) -> None:
    train, holdout, release = three(1)
    release[:16] = change(train[40:56])
    found = values(train, holdout, release)
    assert not found["value"].alarm, "one alarm fails one gate"
    assert "by pixels under shifts, flips and crops" in found["near"].alarm
    pairs = {row[:2] for row in found["near"].evidence[0].rows}
    assert len(pairs & {(str(2 * N + at), str(40 + at)) for at in range(16)}) >= 14
    assert found["near"].estimate is not None
    assert found["near"].estimate.high >= 14 / N


def test_fresh_images_alarm_nowhere() -> None:
    for seed in range(4):
        found = values(*three(10 + seed))
        assert not any(value.alarm for value in found.values())
        assert "more would be found, fewer cannot be told" in found["near"].reason


def test_a_collapsed_release_is_no_copy() -> None:
    train, holdout, release = three(2)
    release[:] = release[:4].repeat(N // 4, axis=0)
    assert not any(value.alarm for value in values(train, holdout, release).values())


def test_copies_of_one_image_stand_together() -> None:
    train, holdout, release = three(3)
    release[:14] = shifted(train[:14])
    for at, move in enumerate([(0, 1), (1, 0), (-1, 0), (0, -1)]):
        release[20 + at] = np.roll(train[0], move, axis=(0, 1))
    found = values(train, holdout, release)["near"]
    grouped = found.evidence[1]
    assert grouped.columns[:2] == ("training record", "release rows")
    assert grouped.rows[0][:2] == ("0", 5)
    assert all(row[1] == 1 for row in grouped.rows[1:14])


def test_the_release_repeating_one_near_copy_counts_once() -> None:
    train, holdout, release = three(4)
    release[:40] = shifted(train[:1])
    found = values(train, holdout, release)["near"]
    assert not found.alarm
    assert found.estimate is not None
    assert found.estimate.high <= 8 / N


# -- distances --------------------------------------------------------------------------------------


def test_distances_are_those_of_a_written_out_search() -> None:
    rng = np.random.default_rng(5)
    query, base = (rng.uniform(0, 255, (6, 14, 12)).astype(np.float32) for _ in range(2))
    every = np.array([(i, j) for i in range(6) for j in range(6)])
    found, index = nearest_pixels(query, base, Candidates.of(6, every[:, 0], every[:, 1]), 6)
    inner = base[:, BORDER:-BORDER, BORDER:-BORDER].astype(np.float64)
    for i in range(6):
        least = np.full(6, np.inf)
        for turned in (query[i], query[i][:, ::-1]):
            moved = [
                turned[BORDER + a : 14 - BORDER + a, BORDER + b : 12 - BORDER + b]
                for a in (-1, 0, 1)
                for b in (-1, 0, 1)
            ]
            moved += [cropped(turned[None], c)[0][BORDER:-BORDER, BORDER:-BORDER] for c in (1, 2)]
            for one in moved:
                least = np.minimum(least, np.sqrt(((one - inner) ** 2).mean((1, 2))))
        assert_allclose(found[i], np.sort(least), rtol=1e-6)
        assert_array_equal(index[i], np.argsort(least))


def test_a_copy_is_at_distance_nought_however_it_was_moved() -> None:
    image = np.random.default_rng(6).uniform(0, 255, (1, 16, 16)).astype(np.float32)
    only = Candidates.of(1, np.array([0]), np.array([0]))
    for made in (image, np.roll(image, (1, 1), axis=(1, 2)), image[:, :, ::-1], cropped(image, 2)):
        assert nearest_pixels(image, made, only, 1)[0][0, 0] == 0.0


def test_queries_without_candidates_are_infinitely_far() -> None:
    images = np.zeros((2, 12, 12), dtype=np.float32)
    found, _ = nearest_pixels(images, images, Candidates.of(2, np.array([1, 1]), np.array([0, 0])), 2)
    assert np.isinf(found[0]).all()
    assert found[1].tolist() == [0.0, np.inf]


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (12, 12), (65, 20)])
def test_images_of_odd_sizes_have_variants_too(size: tuple[int, int]) -> None:
    images = np.random.default_rng(7).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    made = variants(pictures(lambda at: images[at], np.arange(2)))
    assert made.shape[:2] == (2, 22)
    assert np.isfinite(made).all()
    assert made.shape[2] >= 64


# -- pictures and hashes ------------------------------------------------------------------------------


def test_small_images_keep_their_size_and_large_ones_are_averaged() -> None:
    rng = np.random.default_rng(8)
    small = rng.integers(0, 256, (2, SMALL, 30, 3), dtype=np.uint8)
    assert pictures(lambda at: small[at], np.arange(2)).shape == (2, SMALL, 30)
    large = rng.integers(0, 256, (2, 128, 96, 3), dtype=np.uint8)
    made = pictures(lambda at: large[at], np.arange(2))
    grey = large.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert_allclose(made, grey.reshape(2, SIDE, 4, SIDE, 3).mean((2, 4)), rtol=1e-4)
    mixed = [small[0], large[0]]
    assert pictures(lambda at: mixed[at], np.arange(2)).shape == (2, SIDE, SIDE)


def test_hashes_outlive_scaling_and_find_their_source() -> None:
    images = shapes(np.random.default_rng(9), 200).astype(np.float32)
    hashes = difference_hash(images)
    other = np.stack([shrunk(image, 16, 18) for image in images])
    assert np.mean(alike(difference_hash(other), hashes) == np.arange(200)) > 0.95
    assert np.bitwise_count(difference_hash(images * np.float32(0.5)) ^ hashes).max() == 0


def test_the_hash_is_that_of_a_written_out_comparison() -> None:
    image = np.random.default_rng(10).uniform(0, 255, (1, 16, 27)).astype(np.float32)
    small = image[0].reshape(8, 2, 9, 3).mean((1, 3))
    bits = "".join("1" if small[r, c] < small[r, c + 1] else "0" for r in range(8) for c in range(8))
    assert difference_hash(image)[0].tobytes().hex() == f"{int(bits, 2):016x}"


def test_smoothing_is_a_convolution_that_keeps_copies_copies() -> None:
    from scipy.ndimage import convolve

    images = np.random.default_rng(13).uniform(0, 255, (300, 12, 20)).astype(np.float32)
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    made = smoothed(images)
    assert_allclose(made, np.stack([convolve(image, kernel, mode="nearest") for image in images]), rtol=1e-4)
    only = Candidates.of(300, np.arange(300), np.arange(300))
    for copy in (np.roll(images, (1, -1), axis=(1, 2)), images[:, :, ::-1]):
        found, _ = nearest_pixels(made, smoothed(copy), only, 1)
        assert found.max() < 1e-3, "what a shift brings in at the border stays outside the window"


def test_waves_are_those_of_the_cosine_transform() -> None:
    from scipy.fft import dctn

    images = np.random.default_rng(11).uniform(0, 255, (5, 64, 96)).astype(np.float32)
    small = images.reshape(5, SIDE, 2, SIDE, 3).mean((2, 4))
    slow = dctn(small, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(5, 64)
    bits = slow > np.median(slow, axis=1, keepdims=True)
    assert_array_equal(np.unpackbits(frequency_hash(images)[:, None].view(np.uint8), axis=1), bits)
    assert (bits.sum(1) == 32).all()


@pytest.mark.parametrize("change", ["rescaled", "stored at quality 30", "brighter", "noisy"])
def test_waves_find_sources_that_differences_miss(change: str) -> None:
    """Bright shapes on plain black, where the sign of a difference is noise once a copy is changed."""
    import io

    from PIL import Image

    rng = np.random.default_rng(12)
    whole = shapes(rng, 200)
    images = np.where(whole > 110, whole, 0).astype(np.uint8)
    if change == "rescaled":
        made = np.stack([shrunk(shrunk(image, 10, 10), SIZE, SIZE) for image in images.astype(np.float32)])
    elif change == "brighter":
        made = np.clip(images.astype(np.float32) + 30, 0, 255)
    elif change == "noisy":
        made = np.clip(images + rng.normal(scale=10.0, size=images.shape), 0, 255).astype(np.float32)
    else:
        made = np.stack([_stored(Image.fromarray(image), io.BytesIO()) for image in images])
    found = [
        np.mean(alike(of(images.astype(np.float32)), of(made.astype(np.float32))) == np.arange(200))
        for of in (frequency_hash, difference_hash)
    ]
    assert found[0] > 0.95
    assert found[0] > found[1]


def _stored(image: Any, file: Any) -> Images:
    from PIL import Image

    image.save(file, "JPEG", quality=30)
    return np.asarray(Image.open(file))
