"""Shared work: what several metrics need, computed at most once.

Each kind of :class:`Work` stands once, as a constant; its results are filed under the kind and the
*content* of the samples (which records, with which features), never under names or positions alone:
two kinds of work, or two different samples, cannot meet in one key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from counterproof.metrics.sample import Sample

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Work(Generic[T]):
    """A kind of work whose result is a ``T``; each one stands once, as a constant of its module.

    Kinds are compared by identity: two of one name are two kinds.
    """

    name: str

    def about(self, *samples: Sample | None, **options: Hashable) -> WorkKey[T]:
        """The key of its result for these samples and options."""
        contents = tuple(None if sample is None else sample.content for sample in samples)
        return WorkKey(self, contents, tuple(sorted(options.items())))


@dataclass(frozen=True)
class WorkKey(Generic[T]):
    """A kind of work on the content of some samples, under some options."""

    work: Work[T]
    contents: tuple[bytes | None, ...]
    options: tuple[tuple[str, Hashable], ...]


class SharedWork:
    """Results by key, each computed at most once.

    >>> squares: Work[int] = Work("squares")
    >>> shared = SharedWork()
    >>> shared.result(squares.about(of=3), lambda: 9), shared.result(squares.about(of=3), lambda: 0)
    (9, 9)
    """

    def __init__(self) -> None:
        self._results: dict[WorkKey[Any], Any] = {}

    def result(self, key: WorkKey[T], compute: Callable[[], T]) -> T:
        """The result; computed where nobody has asked before."""
        if key not in self._results:
            self._results[key] = compute()
        return cast("T", self._results[key])

    def find(self, key: WorkKey[T]) -> T | None:
        """The result, where somebody has asked before."""
        return cast("T | None", self._results.get(key))

    def put(self, key: WorkKey[T], result: T) -> None:
        """Give the result from outside: staged models in tests."""
        self._results[key] = result

    def results(self, work: Work[T]) -> Iterator[tuple[WorkKey[T], T]]:
        """Every result of a kind so far."""
        yield from ((key, result) for key, result in self._results.items() if key.work is work)

    def copy(self) -> SharedWork:
        """A separate store of the same results."""
        copied = SharedWork()
        copied._results.update(self._results)
        return copied
