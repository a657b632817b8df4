"""Pairs of a release row and a real row, as evidence that does not publish the real row."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.estimate import Evidence, Panel
from counterproof.metrics.sample import Rows
from counterproof.metrics.workbench import Workbench

LISTED = 1000
TWINS, APART = 5, 0.5  # records that may be alike, and how near the nearest may be beside them
NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Positions in the corpus, how far the rows lie apart, and how far the real row's neighbours lie from it.

    ``own``: the release row copies no real record, see :func:`own_rows`, so that its contents may be shown.
    """

    made: int
    real: int
    distance: float
    exact: bool
    local: float = 0.0
    own: bool = False


def pair_panel(bench: Workbench, pairs: list[Pair]) -> Panel:
    """The panel ``pairs``. A copy shows the real record too, so both sides stay hidden by default."""
    modality = "image" if bench.corpus.modality == "image" else "table"
    data = {
        "modality": modality,
        "redacted": not bench.show_real,
        "pairs": [_drawn(bench, pair) for pair in pairs],
    }
    note = "" if bench.show_real else "Contents are hidden (--show-real shows them): a copy would show the real record."
    return Panel(kind="pairs", title="Closest pairs", data=data, note=note, shows_real=bench.show_real and bool(pairs))


def _drawn(bench: Workbench, pair: Pair) -> dict[str, Any]:
    agree, of = _agreement(bench, pair)
    shown = bench.show_real
    own = shown or pair.own
    return {
        "synthetic": str(bench.corpus.names[pair.made]),
        "real": str(bench.corpus.names[pair.real]),
        "distance": pair.distance,
        "exact": pair.exact,
        "agree": agree,
        "of": of,
        "synthetic_shown": own,
        "synthetic_image": _picture(bench, pair.made) if own else None,
        "real_image": _picture(bench, pair.real) if shown else None,
        "synthetic_record": _record(bench, pair.made, every=shown) if own else None,
        "real_record": _record(bench, pair.real, every=True) if shown else None,
    }


def _agreement(bench: Workbench, pair: Pair) -> tuple[int | None, int | None]:
    """In how many columns the two agree."""
    frame = bench.corpus.frame
    if frame is None:
        return None, None
    made, real = frame.iloc[pair.made], frame.iloc[pair.real]
    same = (made == real).fillna(False).to_numpy(dtype=bool) | (made.isna() & real.isna()).to_numpy()
    return int(same.sum()), len(same)


def _picture(bench: Workbench, at: int) -> str | None:
    if bench.corpus.thumbnail is None:
        return None
    return base64.b64encode(bench.corpus.thumbnail(at)).decode("ascii")


def _record(bench: Workbench, at: int, *, every: bool) -> dict[str, str] | None:
    """The row by column; texts and identifiers, which may copy a real one, only where all may be shown."""
    frame, kinds = bench.corpus.frame, bench.corpus.kinds
    if frame is None:
        return None
    kept = [name for name in frame if every or kinds.get(str(name)) not in ("text", "identifier")]
    return {str(name): "" if value is None else str(value) for name, value in frame[kept].iloc[at].items()}


def own_rows(bench: Workbench, rows: Rows) -> NDArray[np.bool_]:
    """Which release rows copy no real record, nor stand so near to one that it could be recognised in them.

    A near copy lies much nearer to its source than to other records: a row is its own where the nearest real record
    is at least half as far away as the sixth (a record may have twins).
    """
    corpus = bench.corpus
    sides = [side.rows for side in (bench.train, bench.holdout, bench.real) if side is not None]
    known = np.unique(np.concatenate(sides))
    copied = np.isin(corpus.digests[rows], corpus.digests[known])
    real = corpus.features[known]  # once: a copy of all real rows
    far = [np.sort(np.linalg.norm(real - corpus.features[at], axis=1))[: TWINS + 1] for at in rows]
    lone = np.array([len(gaps) > TWINS and gaps[0] >= APART * gaps[-1] for gaps in far], dtype=bool)
    return lone & ~copied


def listed(bench: Workbench, pairs: list[Pair], title: str) -> tuple[Evidence, ...]:
    """The pairs by name; no contents."""
    if not pairs:
        return ()
    names = bench.corpus.names
    rows = tuple((str(names[pair.made]), str(names[pair.real]), pair.distance) for pair in pairs[:LISTED])
    note = f"The first {LISTED} of {len(pairs)}." if len(pairs) > LISTED else ""
    columns = ("release row", "training row", "distance")
    return (Evidence(title=f"{title}: {len(pairs)}", columns=columns, rows=rows, note=note),)


def pairs_by_record(bench: Workbench, pairs: list[Pair], title: str) -> tuple[Evidence, ...]:
    """The pairs by training record: the record with the most release rows first."""
    held: dict[int, list[int]] = {}
    for pair in pairs:
        held.setdefault(pair.real, []).append(pair.made)
    if not held:
        return ()
    names = bench.corpus.names
    rows = tuple(
        (str(names[real]), len(made), ", ".join(str(names[at]) for at in made[:NAMED]))
        for real, made in sorted(held.items(), key=lambda item: (-len(item[1]), item[0]))[:LISTED]
    )
    columns = ("training record", "release rows", f"the first {NAMED} of them")
    return (Evidence(title=f"{title}: {len(held)}", columns=columns, rows=rows),)
