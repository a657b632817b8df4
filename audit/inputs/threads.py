"""Work in threads, results in order, memory bounded."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
MOST = 8  # workers; each holds a batch and what the network makes of it
AHEAD = 2  # pieces of work per worker that are under way, waiting, or done but not yet asked for


def cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def results_in_order(work: Callable[[T], R], items: Iterable[T], *, workers: int | None = None) -> Generator[R]:
    """The results of all items in their order, computed by threads a few items ahead.

    Items are taken from their iterator one by one in the caller's thread. An exception of the work
    is raised in the place of its result; then, and when the caller stops or is interrupted, nothing
    more is begun.

    Args:
        work: Called in a thread; most of it should be done where Python's lock is released.
        items: What to work on.
        workers: Threads; one for each core by default, and :data:`MOST` at most.

    >>> list(results_in_order(lambda x: x * x, range(5), workers=2))
    [0, 1, 4, 9, 16]
    """
    count = workers or min(cores(), MOST)
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(count, thread_name_prefix="counterproof")
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= AHEAD * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # What runs is not waited for: an interrupt ends at once, but for the pieces under way.
        pool.shutdown(wait=False, cancel_futures=True)
