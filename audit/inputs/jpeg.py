"""The quality of a JPEG file, told from its quantisation tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

# The tables of quality 50 (ITU-T T.81, Annex K), which libjpeg scales.
LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29,
    51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121,
    120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


def quality_of(tables: Mapping[int, Sequence[int]]) -> int:
    """The libjpeg quality, 1 to 100, whose luminance table is as coarse as this file's.

    Exact for files that libjpeg (and so Pillow, OpenCV and most tools) wrote; for tables of
    other makers the quality that loses about as much. Sums are compared, as the order of a table's
    cells differs between readers.

    Args:
        tables: Quantisation tables by number; the first is that of luminance.

    >>> quality_of({0: LUMINANCE})
    50
    """
    coarse = sum(tables[min(tables)])
    return min(range(1, 101), key=lambda quality: (abs(_sums()[quality - 1] - coarse), -quality))


@cache
def _sums() -> list[int]:
    """The sum of libjpeg's luminance table at each quality (jpeg_quality_scaling in jcparam.c)."""

    def scaled(quality: int) -> int:
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        return sum(min(max((cell * scale + 50) // 100, 1), 255) for cell in LUMINANCE)

    return [scaled(quality) for quality in range(1, 101)]
