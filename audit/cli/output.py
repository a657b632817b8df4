"""Outputs of an audit: four files, and a table at the terminal."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from counterproof.refusal import Refusal, refuse_stream
from counterproof.reports.record import Record
from counterproof.reports.serialise import make_folders, write_texts

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
FILES = ("report.html", "record.json", "junit.xml", "summary.md")  # in the order in which readers open them


def plain(text: str) -> str:
    """Text without control characters: names of files and columns may hold terminal escapes."""
    return _CONTROL.sub("�", text)


def check_writable(folder: Path) -> None:
    """Check before the work, not after it, that a folder can be written.

    Raises:
        Refusal: The folder cannot be made or written.
    """
    made: list[Path] = []
    try:
        made = make_folders(folder)
        handle, name = tempfile.mkstemp(dir=folder)
        os.close(handle)
        os.unlink(name)
    except OSError as error:
        raise Refusal(f"{folder}: cannot be written ({error.strerror}); give another folder with --out") from None
    finally:
        for one in reversed(made):
            one.rmdir()  # an audit that is refused leaves nothing behind


def write_all(record: Record, folder: Path) -> dict[str, Path]:
    """Write record, report, JUnit and summary; all are rendered and on the disk before the first is replaced.

    Raises:
        Refusal: The folder cannot be written.
    """
    from counterproof.reports.outputs.html import render
    from counterproof.reports.outputs.junit import junit
    from counterproof.reports.outputs.markdown import markdown

    paths = {name: folder / name for name in FILES}
    texts = (render(record), record.to_json(), junit(record), markdown(record))
    try:
        write_texts(dict(zip(paths.values(), texts, strict=True)))
    except OSError as error:
        raise Refusal(f"{folder}: cannot be written ({error.strerror}); give another folder with --out") from None
    return paths


def read_record(path: Path) -> Record:
    """Read ``record.json``.

    Raises:
        Refusal: It cannot be read or is no record.
    """
    try:
        refuse_stream(path)
        return Record.read(path)
    except Refusal:
        raise
    except OSError as error:
        raise Refusal(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise Refusal(f"{path}: is not a record of schema counterproof/record/1{_first_problem(error)}") from None


def _first_problem(error: ValueError) -> str:
    """Where a record differs from the schema, where it is JSON at all."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError) or not error.errors()[0]["loc"]:
        return ""
    first = error.errors()[0]
    return f": {'.'.join(map(str, first['loc']))}: {first['msg'][:200]}"


def print_verdict(record: Record, paths: Mapping[str, Path]) -> None:
    """Print the verdict: in colours at a terminal, as plain lines elsewhere."""
    from counterproof.reports.outputs.terminal import VerdictTable, plain_lines

    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(VerdictTable(record))
    else:
        print("\n".join(plain_lines(record)))
    if paths:
        first, *others = paths.values()
        beside = ", ".join(path.name for path in others)
        print(f"report: {plain(str(first))}{f' (and {beside})' if beside else ''}")
