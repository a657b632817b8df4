"""What encoding took, stage by stage, and what went wrong on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

STAGES = ("decode", "resize", "encode")


@dataclass(eq=False)
class Journal:
    """Kept by all threads that read and encode images.

    Attributes:
        spent: Seconds of all threads together by stage.
        fits: Images that the device has memory for at once; None while it never ran out.
        remarks: What went wrong and was mended, in sentences.
    """

    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    fits: int | None = None
    remarks: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts the time inside to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.spent[name] += time.perf_counter() - started

    def crowded(self, fits: int) -> None:
        """The device ran out of memory and takes no more than so many images at once from now on."""
        with self._lock:
            self.fits = min(fits, self.fits or fits)


def in_words(spent: Mapping[str, float]) -> str:
    """The share of each stage for a line of a log.

    >>> in_words({"decode": 1.0, "resize": 0.5, "encode": 8.5})
    'images: decode 10 %, resize 5 %, encode 85 % of 10.0 s'
    """
    total = sum(spent.values())
    shares = ", ".join(f"{name} {100 * took / max(total, 1e-9):.0f} %" for name, took in spent.items())
    return f"images: {shares} of {total:.1f} s"
