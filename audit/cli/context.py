"""Shared by all commands: refusals in one sentence, exit codes, signals, progress."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from counterproof.cli.streams import lasting_streams

if TYPE_CHECKING:
    from counterproof.progress import Stages


USAGE = 2
CRASHED = 4
ENDING = ("SIGTERM", "SIGHUP")  # like SIGINT, of which Python itself makes an exception


class Judged(SystemExit):
    """The end of a command that has judged: its exit code is the verdict's."""


class Ended(BaseException):
    """A signal that ends the process: as an exception, so that what is half written is removed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Program(click.Group):
    """The command line as a whole: whatever happens to it, the exit code is a verdict's, or tells what happened."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command; see :meth:`click.Command.main`."""
        with lasting_streams() as (out, _), _signals_as_exceptions():
            try:
                return super().main(*args, **extra)
            except SystemExit as end:
                out.flush()
                if out.failure:
                    click.echo(f"counterproof: standard output could not be written ({out.failure})", err=True)
                    if not end.code and not isinstance(end, Judged):  # a verdict stands, whoever reads it
                        raise SystemExit(USAGE) from None
                raise

    def invoke(self, context: click.Context) -> Any:
        """Run the subcommand; a signal ends it in one sentence."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            _end(signal.SIGINT, "interrupted")
        except Ended as end:
            _end(end.number, f"ended by {signal.Signals(end.number).name}")


def _end(number: int, how: str) -> NoReturn:
    """End as shells say that a signal ended a process."""
    click.echo(f"counterproof: {how}; nothing was judged", err=True)
    sys.exit(128 + number)


@contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """Let the signals that end a process raise; one that the caller ignores (``nohup``) stays ignored."""
    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> NoReturn:
        for other in taken:
            signal.signal(other, signal.SIG_DFL)  # who insists ends it at once
        raise Ended(number)

    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def exit_on_refusal() -> Iterator[None]:
    """Refused data and unreadable gates end in one sentence and exit code 2, which differs from that of a FAIL."""
    try:
        yield
    except click.exceptions.Exit:
        raise
    except Exception as error:
        from counterproof.cli.output import plain
        from counterproof.judging.tokens import GateError
        from counterproof.metrics.errors import MetricError
        from counterproof.refusal import Refusal

        if isinstance(error, (Refusal, MetricError)):
            message = str(error) if isinstance(error, GateError) else " ".join(str(error).split())
            click.echo(f"counterproof: {plain(message)}", err=True)
            sys.exit(USAGE)
        from counterproof.measuring.measure import crash, lacked_memory

        if lacked := lacked_memory(error):
            click.echo(f"counterproof: {lacked}; use a machine with more, or fewer rows", err=True)
            sys.exit(USAGE)
        click.echo(f"counterproof crashed, which is a defect of its own: {plain(crash(error))}", err=True)
        sys.exit(CRASHED)


@contextmanager
def progress(total: int) -> Iterator[Stages]:
    """One line at a terminal, a line every half minute elsewhere."""
    from counterproof.progress import Bars, Lines

    if sys.stderr.isatty():
        with Bars(total) as bars:
            yield bars
    else:
        yield Lines(total)
