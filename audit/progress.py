"""Tells how far an audit has come: bars with the time left at a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

Tell = Callable[[str, int, int], None]


class Stages(Protocol):
    """Where an audit tells about its stages."""

    def stage(self, name: str) -> AbstractContextManager[Tell]:
        """Enter a stage; the callable inside takes (what, done, total)."""
        ...

    def remark(self, text: str) -> None:
        """Tell one line more."""
        ...


class Pace:
    """How many a second, from the first that was told of: what a cache gave at once does not count.

    >>> times = iter([0.0, 10.0, 20.0])
    >>> pace = Pace(clock=lambda: next(times))
    >>> [pace.at(done) for done in (500, 600, 900)]
    [0.0, 10.0, 20.0]
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._first: tuple[int, float] | None = None

    def at(self, done: int) -> float:
        """The pace when so many are done; 0 at first."""
        now = self._clock()
        if self._first is None:
            self._first = (done, now)
        before, started = self._first
        return (done - before) / (now - started) if now > started else 0.0


class Silent:
    """Tells nothing."""

    @contextmanager
    def stage(self, name: str) -> Iterator[Tell]:
        """Enter a stage."""
        yield lambda what, done, total: None

    def remark(self, text: str) -> None:
        """Nothing is told."""


def left(done: int, total: int, seconds: float) -> str:
    """How much is left, by the pace so far.

    >>> left(12, 41, 24.0), left(0, 41, 3.0)
    ('12 of 41, about 1 min left', '0 of 41')
    """
    told = f"{done} of {total}"
    if not done or done >= total:
        return told
    wait = seconds / done * (total - done)
    return f"{told}, about {f'{wait / 60:.0f} min' if wait >= 50 else f'{max(wait, 1):.0f} s'} left"


class Lines:
    """A line every half minute, for logs: how many stages are done, and about how long the others take."""

    def __init__(self, total: int, out: TextIO | None = None, every: float = 30.0) -> None:
        self._total, self._out, self._every = total, out or sys.stderr, every
        self._started = self._told = time.perf_counter()
        self._done = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[Tell]:
        """Enter a stage."""
        paces: dict[str, Pace] = {}

        def tell(what: str, done: int, total: int) -> None:
            pace = paces.setdefault(what, Pace()).at(done)
            if self._due():
                self.remark(f"{what}: {done} of {total}, {pace:.1f} a second")

        yield tell
        self._done += 1
        if self._due():
            self.remark(left(self._done, self._total, time.perf_counter() - self._started))

    def _due(self) -> bool:
        now = time.perf_counter()
        if now - self._told < self._every:
            return False
        self._told = now
        return True

    def remark(self, text: str) -> None:
        """One line more."""
        print(text, file=self._out, flush=True)


class Bars:
    """One line with the number of stages done and the time left, as a context manager."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._total, self._done, self._started = total, 0, time.perf_counter()
        self._bars = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._all = self._bars.add_task(left(0, total, 0.0), total=total)

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()

    @contextmanager
    def stage(self, name: str) -> Iterator[Tell]:
        """Enter a stage; a part of it that counts is told on the same line."""
        paces: dict[str, Pace] = {}
        self._say(name, now=True)

        def tell(what: str, done: int, total: int) -> None:
            pace = paces.setdefault(what, Pace()).at(done)
            self._say(f"{what}: {done} of {total}, {pace:.0f} a second")

        yield tell
        self._done += 1
        self._bars.advance(self._all)

    def _say(self, what: str, *, now: bool = False) -> None:
        told = left(self._done, self._total, time.perf_counter() - self._started)
        self._bars.update(self._all, description=f"{told}: {what}", refresh=now)

    def remark(self, text: str) -> None:
        """One line above the bar."""
        self._bars.console.print(text, markup=False, highlight=False)
