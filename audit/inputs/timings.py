"""Time that reading and encoding images took, stage by stage, and problems on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

STAGES = ("decode", "resize", "encode")


@dataclass(eq=False)
class Timings:
    """Seconds by stage and remarks, shared by all threads that read and encode images.

    Attributes:
        seconds: Seconds of all threads together by stage.
        images_at_once: Images that the device has memory for at once; None while it never ran out.
        remarks: Problems that were worked around, in sentences.
    """

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    images_at_once: int | None = None
    remarks: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time inside the block to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.seconds[name] += time.perf_counter() - started

    def limit_batch(self, images_at_once: int) -> None:
        """The device ran out of memory and takes no more than so many images at once from now on."""
        with self._lock:
            self.images_at_once = min(images_at_once, self.images_at_once or images_at_once)


def timing_shares(seconds: Mapping[str, float]) -> str:
    """The share of each stage as one line of a log.

    >>> timing_shares({"decode": 1.0, "resize": 0.5, "encode": 8.5})
    'images: decode 10 %, resize 5 %, encode 85 % of 10.0 s'
    """
    total = sum(seconds.values())
    shares = ", ".join(f"{name} {100 * took / max(total, 1e-9):.0f} %" for name, took in seconds.items())
    return f"images: {shares} of {total:.1f} s"
