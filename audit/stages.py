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


class Silent:
    """Tells nothing."""

    @contextmanager
    def stage(self, name: str) -> Iterator[Tell]:
        """Enter a stage."""
        yield lambda what, done, total: None


class Lines:
    """A line per stage, for logs."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr

    @contextmanager
    def stage(self, name: str) -> Iterator[Tell]:
        """Enter a stage."""
        started = time.perf_counter()
        yield lambda what, done, total: None
        print(f"{name}: {time.perf_counter() - started:.1f} s", file=self._out, flush=True)


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

        def tell(what: str, done: int, total: int) -> None:
            nonlocal inner
            if inner is None:
                inner = self._bars.add_task(what, total=total)
            self._bars.update(inner, description=what, completed=done, total=total)

        yield tell
        if inner is not None:
            self._bars.remove_task(inner)
        self._bars.advance(self._all)
