"""Standard output and error that may be closed, full, or without a reader: an audit never ends by what it prints."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast


class Stream(io.TextIOBase):
    """A text stream that remembers that it could not be written, and raises nothing.

    Attributes:
        failure: Why it could not be written; empty while it could.
    """

    def __init__(self, inner: TextIO) -> None:
        self._inner = inner
        self.failure = ""

    def write(self, text: str) -> int:
        """Write what can be written."""
        self._try(lambda: self._inner.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        self._try(self._inner.flush)

    def _try(self, step: Callable[[], object]) -> None:
        if self.failure:
            return
        try:
            step()
        except (OSError, ValueError) as error:  # ValueError: it was closed meanwhile
            self.failure = getattr(error, "strerror", None) or str(error)
            self._discard()

    def _discard(self) -> None:
        """Let what is still buffered go nowhere: Python flushes it at its end, and would end with a code of its own."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._inner.fileno())
            os.close(nowhere)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return not self.failure and self._inner.isatty()

    def fileno(self) -> int:
        """The descriptor behind it."""
        return self._inner.fileno()

    def writable(self) -> bool:
        """It is, or says nothing."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream behind it."""
        return self._inner.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """Of the stream behind it."""
        return self._inner.errors


@contextmanager
def lasting_streams() -> Iterator[tuple[Stream, Stream]]:
    """Standard output and error that no closed file, full disk or absent reader makes raise."""
    before = sys.stdout, sys.stderr
    kept = _open(sys.stdout), _open(sys.stderr)
    sys.stdout, sys.stderr = (cast(TextIO, stream) for stream in kept)
    try:
        yield kept
    finally:
        for stream in kept:
            stream.flush()
        # A stream that was closed stays one that leads nowhere: what Python prints at its end must not fail.
        sys.stdout, sys.stderr = (was or cast(TextIO, now) for was, now in zip(before, kept, strict=True))


def _open(stream: TextIO | None) -> Stream:
    """A stream of the process; one that was closed leads nowhere, lest the next file to be opened takes its place."""
    if stream is None:
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (it lasts as long as the process)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a log in ASCII is no reason to crash
    return Stream(stream)
