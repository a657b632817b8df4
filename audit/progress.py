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


class Lines:
    """A line per stage, for logs; a stage that counts tells every half minute how far it is."""

    def __init__(self, out: TextIO | None = None, every: float = 30.0) -> None:
        self._out = out or sys.stderr
        self._every = every

    @contextmanager
    def stage(self, name: str) -> Iterator[Tell]:
        """Enter a stage."""
        started = time.perf_counter()
        told = started
        paces: dict[str, Pace] = {}

        def tell(what: str, done: int, total: int) -> None:
            nonlocal told
            pace = paces.setdefault(what, Pace()).at(done)
            if time.perf_counter() - told >= self._every:
                told = time.perf_counter()
                self.remark(f"{what}: {done} of {total}, {pace:.1f} a second, after {told - started:.1f} s")

        yield tell
        self.remark(f"{name}: {time.perf_counter() - started:.1f} s")

    def remark(self, text: str) -> None:
        """One line more."""
        print(text, file=self._out, flush=True)


class Bars:
    """A bar over all stages with the time left, as a context manager."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=32),
            TextColumn("{task.completed:.0f}/{task.total:.0f}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left", markup=False),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._all = self._bars.add_task("audit", total=total)

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()

    @contextmanager
    def stage(self, name: str) -> Iterator[Tell]:
        """Enter a stage; a part of it that counts gets a bar of its own."""
        self._bars.update(self._all, description=name)
        inner = None
        paces: dict[str, Pace] = {}

        def tell(what: str, done: int, total: int) -> None:
            nonlocal inner
            if inner is None:
                inner = self._bars.add_task(what, total=total)
            pace = paces.setdefault(what, Pace()).at(done)
            self._bars.update(inner, description=f"{what}, {pace:.0f} a second", completed=done, total=total)

        yield tell
        if inner is not None:
            self._bars.remove_task(inner)
        self._bars.advance(self._all)

    def remark(self, text: str) -> None:
        """One line above the bars."""
        self._bars.console.print(text, markup=False, highlight=False)
