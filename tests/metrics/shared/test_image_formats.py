"""Formats of two sets of images: alike where compression cannot tell them apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterproof.metrics.shared.image_formats import (
    LOSSLESS,
    UNKNOWN_QUALITY,
    describe_formats,
    qualities,
    quality_of,
    stored_alike,
)

Formats = np.ndarray[tuple[int], np.dtype[np.str_]]


def of(*parts: tuple[int, str]) -> Formats:
    return np.array([kind for count, kind in parts for _ in range(count)])


@pytest.mark.parametrize(
    ("kind", "quality"),
    [
        ("PNG", LOSSLESS),
        ("array", LOSSLESS),
        ("TIFF raw", LOSSLESS),
        ("WEBP lossless", LOSSLESS),
        ("JPEG q75", 75),
        ("JPEG q100", 100),
        ("JPEG", UNKNOWN_QUALITY),
        ("TIFF jpeg", UNKNOWN_QUALITY),
        ("WEBP lossy", UNKNOWN_QUALITY),
    ],
)
def test_every_format_has_a_place_on_the_scale(kind: str, quality: int) -> None:
    assert quality_of(kind) == quality
    assert qualities(np.array([kind, "PNG"])).tolist() == [quality, LOSSLESS]


@pytest.mark.parametrize(
    ("left", "right", "alike"),
    [
        (of((50, "PNG")), of((50, "PNG")), True),
        (of((50, "PNG")), of((50, "array")), True),  # neither loses anything
        (of((50, "PNG")), of((50, "JPEG q95")), False),
        (of((50, "JPEG q75")), of((50, "JPEG q90")), False),
        (of((50, "JPEG q90")), of((50, "JPEG q92")), True),
        (of((50, "JPEG q75")), of((50, "WEBP lossy")), False),  # as poor, but another codec
        (of((500, "PNG"), (500, "JPEG q75")), of((500, "PNG"), (500, "JPEG q75")), True),
        (of((900, "PNG"), (100, "JPEG q75")), of((400, "PNG"), (600, "JPEG q75")), False),
        (of((990, "PNG"), (10, "JPEG q30")), of((1000, "PNG")), True),  # a handful of files
        (of((3, "PNG")), of((3, "JPEG q75")), False),  # so few, but all of them
    ],
)
def test_lossy_against_lossless_and_clearly_other_qualities_differ(left: Formats, right: Formats, alike: bool) -> None:
    assert stored_alike(left, right) is alike
    assert stored_alike(right, left) is alike


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_two_draws_of_one_mixture_are_alike(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    kinds = np.array(["PNG", *(f"JPEG q{quality}" for quality in range(60, 96, 5))])
    weights = np.array([share, *[(1 - share) / 8] * 8])
    left, right = (kinds[rng.choice(9, size=n, p=weights)] for n in (400, 300))
    assert stored_alike(left, right)


def test_formats_in_words() -> None:
    assert describe_formats(of((5, "PNG"))) == "PNG"
    assert describe_formats(of((5, "JPEG q75"))) == "JPEG q75"
    assert describe_formats(of((5, "JPEG q95"), (5, "JPEG q60"))) == "JPEG q60 to q95"
    assert describe_formats(of((999, "PNG"), (1, "WEBP lossy"))) == "99 % PNG, under 1 % WEBP lossy"
