"""How images are stored, and whether two sets of them are stored alike.

A format is a short text per image: ``PNG``, ``JPEG q75``, ``array``. What matters to a comparison
is how lossy it is, so formats are put on one scale: the JPEG quality, with what loses nothing
above all of them.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

Formats = NDArray[np.str_]
LOSSLESS = 101  # on the scale of JPEG qualities: next to quality 100
UNKNOWN_QUALITY = 75  # what most writers use where no quality is known
NEAR = 3  # qualities this close hardly differ, and estimates are no more precise
APART = 0.05  # share of images that may be stored otherwise
SURE = 1.95  # Kolmogorov-Smirnov at a level of 0.001
_QUALITY = re.compile(r"^JPEG\b.*?\bq(\d{1,3})\b")


def quality_of(kind: str) -> int:
    """A format on the scale of JPEG qualities.

    >>> quality_of("JPEG q90"), quality_of("JPEG"), quality_of("PNG")
    (90, 75, 101)
    """
    found = _QUALITY.match(kind)
    if found:
        return min(int(found[1]), LOSSLESS - 1)
    return UNKNOWN_QUALITY if kind.lower().startswith("jpeg") or kind.endswith((" lossy", " jpeg")) else LOSSLESS


def qualities(formats: Formats) -> NDArray[np.intp]:
    """``(n,)`` qualities of the formats."""
    kinds, inverse = np.unique(formats, return_inverse=True)
    return np.array([quality_of(str(kind)) for kind in kinds], dtype=np.intp)[inverse]


def stored_alike(left: Formats, right: Formats) -> bool:
    """Whether the two sets cannot be distinguished by compression.

    Their qualities are compared as wholes: the largest difference between the shares that are at
    most so good, where qualities up to :data:`NEAR` apart count as one; so is the share of lossy
    images that are not JPEG. More than :data:`APART` beyond chance is not alike.

    >>> stored_alike(np.array(["PNG"] * 9), np.array(["JPEG q75"] * 9))
    False
    >>> stored_alike(np.array(["JPEG q75"] * 9), np.array(["JPEG q76"] * 9))
    True
    """
    if not len(left) or not len(right):
        return True
    gap = max(_excess(qualities(left), qualities(right)), _excess(qualities(right), qualities(left)))
    gap = max(gap, abs(_share_of_other_lossy(left) - _share_of_other_lossy(right)))
    chance = SURE * float(np.sqrt(1 / len(left) + 1 / len(right)))
    return gap <= min(0.5, APART + chance)


def _excess(worse: NDArray[np.intp], better: NDArray[np.intp]) -> float:
    """How much larger the share of poor images is on the first side."""
    cuts = np.arange(LOSSLESS)
    poor = np.searchsorted(np.sort(worse), cuts, side="right") / len(worse)
    other = np.searchsorted(np.sort(better), cuts + NEAR, side="right") / len(better)
    return float((poor - other).max())


def _share_of_other_lossy(formats: Formats) -> float:
    """The share of images that another codec than JPEG has compressed."""
    return float(np.char.endswith(formats, " lossy").mean())


def describe_formats(formats: Formats) -> str:
    """What a set of images is stored as.

    >>> describe_formats(np.array(["JPEG q75", "JPEG q90", "PNG", "PNG"]))
    '50 % JPEG q75 to q90, 50 % PNG'
    """
    counts = Counter(str(kind) for kind in formats)
    families: Counter[str] = Counter()
    for kind, count in counts.items():
        families[_plain(kind)] += count
    parts = [(_family(name, list(counts)), count) for name, count in sorted(families.items())]
    if len(parts) == 1:
        return parts[0][0]
    return ", ".join(f"{_percent(count / len(formats))} {kind}" for kind, count in parts)


def _plain(kind: str) -> str:
    """The format without its quality."""
    return "JPEG" if _QUALITY.match(kind) else kind


def _family(name: str, kinds: list[str]) -> str:
    held = sorted({quality_of(kind) for kind in kinds if _plain(kind) == name and _QUALITY.match(kind)})
    if not held:
        return name
    return f"{name} q{held[0]}" if len(held) == 1 else f"{name} q{held[0]} to q{held[-1]}"


def _percent(share: float) -> str:
    return "under 1 %" if share < 0.01 else f"{min(round(100 * share), 99)} %"
