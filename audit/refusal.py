"""Refusals: why an audit cannot start, and how their sentences list and suggest names."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path


class Refusal(ValueError):
    """The audit cannot start: one clear sentence that names what to correct (exit code 2)."""


def refuse_stream(path: Path) -> None:
    """Refuse a pipe or a device at once: reading one may wait, or never end.

    Raises:
        Refusal: The path is one.
        OSError: The path cannot be looked at.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise Refusal(f"{path}: is a pipe or a device, not a file; save the data to a file first")


def shown_path(path: str | Path) -> str:
    """A path as records, reports and logs show it: from the working folder, or of another folder its last two parts.

    Where files lie on a machine tells of its owner, and nothing of the data.

    >>> shown_path("data/train.csv"), shown_path("/home/ana/secret/data/train.csv")
    ('data/train.csv', '…/data/train.csv')
    """
    given = Path(path)
    if not given.is_absolute():
        return str(path)
    try:
        return str(given.relative_to(Path.cwd()))
    except (ValueError, OSError):
        last = given.parts[-2:] if len(given.parts) > 2 else given.parts[-1:]
        return f"…/{'/'.join(last)}"


def listed(values: Iterable[object], limit: int = 5) -> str:
    """The first few values, quoted, and how many more there are.

    Quoting escapes line breaks and control characters of hostile names.

    >>> listed(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    every = [repr(_short(str(value))) for value in values]
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + more


def nearest_names(name: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> list[str]:
    """The known names most like a mistyped one, best first.

    Args:
        name: What was written.
        known: What could have been meant.
        most: How many at most.
        cutoff: How like they must be, from 0 to 1.
    """
    import difflib

    return difflib.get_close_matches(name, list(known), n=most, cutoff=cutoff)


def did_you_mean(name: str, known: Collection[str], *, limit: int | None = None) -> str:
    """The end of a sentence that refuses a name: the name most like it, or else all that are known.

    >>> did_you_mean("trian", ["train", "test"]), did_you_mean("x", ["train", "test"])
    ('; did you mean train?', '; there are train, test')

    Args:
        name: What was written.
        known: What could have been meant.
        limit: How many known names are listed; all by default.
    """
    near = nearest_names(name, known)
    if near:
        return f"; did you mean {near[0]}?"
    names = list(known)[:limit]
    more = ", …" if len(names) < len(known) else ""
    return f"; there are {', '.join(names) or 'none'}{more}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
