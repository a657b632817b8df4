"""Shared by all commands: refusals in one sentence, exit codes, progress."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from counterproof.progress import Stages


USAGE = 2
CRASHED = 4
INTERRUPTED = 130


@contextmanager
def exit_on_refusal() -> Iterator[None]:
    """Refused data and unreadable gates end in one sentence and exit code 2, which differs from that of a FAIL."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("counterproof: interrupted; nothing was judged", err=True)
        sys.exit(INTERRUPTED)
    except (BrokenPipeError, click.exceptions.Exit):
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
        from counterproof.measuring.measure import crash

        click.echo(f"counterproof crashed, which is a defect of its own: {plain(crash(error))}", err=True)
        sys.exit(CRASHED)


@contextmanager
def progress(total: int) -> Iterator[Stages]:
    """Bars at a terminal, lines elsewhere."""
    from counterproof.progress import Bars, Lines

    if sys.stderr.isatty():
        with Bars(total) as bars:
            yield bars
    else:
        yield Lines()
