"""The command ``counterproof report``: pages from records that are there, without measuring or judging anything."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

if TYPE_CHECKING:
    from counterproof.reports.record import Record

RECORD, REPORT = "record.json", "report.html"


@click.command()
@click.argument("records", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RECORD...")
@click.option("--out", type=click.Path(path_type=Path), help="The page to write; default: see above.")
@click.option("--index", is_flag=True, help="Write the index, however few records there are.")
def report(records: tuple[Path, ...], out: Path | None, index: bool) -> None:
    """Write a page from RECORDs that are there (record.json, or the folder that holds it).

    \b
    One record: its report again, beside it.
    Two records: both side by side, gate by gate, in comparison.html.
    More, or a folder of audits: verdicts and trends of all releases, in index.html.

    \b
    counterproof report audits/may/record.json
    counterproof report audits/may audits/june --out june-against-may.html
    counterproof report audits/
    """  # noqa: D301 (click's mark for lines to keep is a backspace)
    from counterproof.cli.context import exit_on_refusal

    with exit_on_refusal():
        from counterproof.cli.output import plain, read_record
        from counterproof.refusal import Refusal
        from counterproof.reports.serialise import write_text

        paths = [found for path in records for found in _records_in(path)]
        folders = [path for path in records if path.is_dir() and not (path / RECORD).is_file()]
        listed = index or bool(folders) or len(paths) > 2
        target = out or _default(paths, folders, listed)
        found = [(path, read_record(path)) for path in paths]
        text = _index(found, target) if listed else _comparison(found, target) if len(found) == 2 else _report(found)
        try:
            write_text(target, text)
        except OSError as error:
            raise Refusal(f"{target}: cannot be written ({error.strerror}); name another file with --out") from None
        click.echo(plain(f"report: {target}"))


def _records_in(path: Path) -> list[Path]:
    """A record, that of a folder, or those of the folders in it.

    Raises:
        Refusal: A folder holds no record.
    """
    from counterproof.refusal import Refusal

    if not path.is_dir():
        return [path]
    if (path / RECORD).is_file():
        return [path / RECORD]
    found = sorted(path.rglob(RECORD))
    if not found:
        raise Refusal(f"{path}: holds no {RECORD}; name the folder that `counterproof run --out` wrote")
    return found


def _default(paths: Sequence[Path], folders: Sequence[Path], listed: bool) -> Path:
    """Where the page goes unless said otherwise."""
    if listed:
        return (folders[0] if len(folders) == 1 else Path()) / "index.html"
    return paths[0].with_name(REPORT) if len(paths) == 1 else Path("comparison.html")


def _report(found: Sequence[tuple[Path, Record]]) -> str:
    from counterproof.reports.outputs.html import render

    return render(found[0][1])


def _comparison(found: Sequence[tuple[Path, Record]], target: Path) -> str:
    from counterproof.reports.outputs.comparison import render_comparison

    (then, earlier), (now, later) = found
    return render_comparison(earlier, later, links=(_link(then, target), _link(now, target)))


def _index(found: Sequence[tuple[Path, Record]], target: Path) -> str:
    from counterproof.reports.outputs.index import Entry, named_apart, render_index

    names = named_apart([(record, path.resolve().parent.name) for path, record in found])
    entries = [
        Entry(record=record, name=name, link=_link(path, target))
        for name, (path, record) in zip(names, found, strict=True)
    ]
    return render_index(entries)


def _link(record: Path, page: Path) -> str:
    """Address of the report beside a record, relative to the page; empty where there is none."""
    beside = record.with_name(REPORT)
    if not beside.is_file():
        return ""
    try:
        relative = os.path.relpath(beside.resolve(), page.resolve().parent)
    except ValueError:  # another drive
        return ""
    return quote(Path(relative).as_posix().encode("utf-8", "surrogateescape"), safe="/.")
