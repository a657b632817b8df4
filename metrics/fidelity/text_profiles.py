"""Texts, identifiers and dates: have they the form of the real ones?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Evidence
from counterproof.metrics.fidelity._text_questions import (
    DateColumn,
    TextColumn,
    date_column,
    differences,
    text_column,
)
from counterproof.metrics.fidelity.marginals import Difference
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import Corpus, Rows, Sample
from counterproof.metrics.workbench import Workbench

ROWS = 10_000  # of each side; a form is known from fewer
LISTED = 50
Found = dict[str, Difference]
COLUMNS: Work[dict[str, TextColumn | DateColumn]] = Work("texts and dates as numbers and codes")
USED: Work[Rows] = Work("rows whose texts are looked at")


@metric(
    id="fidelity.text_profiles",
    family="fidelity",
    title="form of texts, identifiers and dates",
    unit="distance",
    needs=Needs(modalities=frozenset({"table"}), smallest_n=500),
    reads=("texts", "dates"),
    tolerances=(
        Tolerance(
            "excess",
            "<=",
            0.15,
            "what one row in seven has in another form is seen at a glance; fresh rows of 500 stay below 0.13, their "
            "error included, in 80 cells",
            cells=True,
        ),
    ),
    quantities={
        "value": Quantity(
            name="Form of {column} ({form})",
            measure="distance {} (0 is the same, 1 is apart)",
            finding="Column {column} is written in another form than in real data ({form})",
            means="Parsers and matching rules made for the real column may not work.",
            remedy="Compare some texts of the release with the real format.",
            telling="column",
        ),
    },
)
def text_profiles(bench: Workbench) -> Iterator[Value]:
    """How far texts, identifiers and dates lie from the real ones in form, whatever they mean.

    For each text and identifier, and for categories of more than 50 values, it compares the length in
    characters and words and the shares of capital and small letters, digits, spaces and symbols
    (Kolmogorov–Smirnov distances); the shape, that is which kinds of characters follow each other (``AB-12`` is
    ``A-0``), the symbols in their order, and neighbouring characters (total variation); how many rows repeat a
    value, and how many have none (differences of shares). For texts of several words it also compares the
    words, and the mean distance of words and neighbouring characters between rows of one label, which shows
    texts that were given to other rows. For each date it compares months, weekdays, hours, and the precision
    (total variation).

    Identifiers that merely number their rows have other numbers in any sample. Of these it compares the letters
    and symbols, repeated and missing values, and the length where it is the same throughout numbers that are
    drawn at random.

    Formula:
        KS distance or total variation of each form, as in fidelity.marginals

    How to read it:
        0 is equal, 1 is disjoint. Finite samples of one source never reach 0: read the excess over the floor.

    Limits:
        What a text means beyond its words is not looked at. Of more than 10,000 rows a side, as many are drawn.

    Yields:
        value: Distance of each column and form (``[column=email, form=length]``); the largest without a group.

    Source:
        Distances as in fidelity.marginals; the error of neighbouring characters is that of a ratio of two sums
        over rows (Cochran 1977, Sampling Techniques, section 6.4).
    """
    wanted = _columns(bench)
    if not wanted:
        lacks = "has a value in the release" if _asked(bench.corpus) else "is among the columns"
        yield Value(status="not_applicable", reason=f"no text, identifier or date {lacks}")
        return
    used = bench.shared(USED.about(bench.real, bench.measured.candidate), lambda: _used(bench.measured))
    columns = bench.shared(COLUMNS.about(bench.real, bench.measured.candidate), lambda: _read(bench.measured, used))
    sides = [np.searchsorted(used, _among(sample, used)) for sample in (bench.reference, bench.candidate)]
    labels = None if bench.corpus.labels is None else bench.corpus.labels[used]
    found: dict[str, Found] = {name: dict(differences(columns[name], sides[0], sides[1], labels)) for name in wanted}
    for name, some in found.items():
        for form, one in some.items():
            estimate = one.estimate(bench.level, "Kolmogorov–Smirnov, total variation or shares, normal")
            yield Value(group=(("column", name), ("form", form)), estimate=estimate)
    worst = max(
        ((name, form) for name, some in found.items() for form in some), key=lambda at: found[at[0]][at[1]].value
    )
    yield Value(
        estimate=found[worst[0]][worst[1]].estimate(bench.level, "the largest of all"),
        reason="" if bench.is_null else f"the largest in {worst[0]}: {worst[1]}",
        evidence=() if bench.is_null else (_evidence(found),),
        left_out=tuple(name for name in _asked(bench.corpus) if name not in wanted),
    )


def _asked(corpus: Corpus) -> list[str]:
    return [name for name, kind in corpus.kinds.items() if kind == "datetime" or name in corpus.texts]


def _columns(bench: Workbench) -> list[str]:
    """Texts, identifiers and dates that have a value in the real rows and in the release; not what names sources."""
    frame, corpus = bench.corpus.frame, bench.corpus
    assert frame is not None
    named = [name for name in _asked(corpus) if name != corpus.cluster]
    real, release = bench.measured.real.rows, bench.measured.release.rows

    def empty(name: str) -> bool:
        """Identifiers may be missing from a release as a whole: they are not audited, and that is said."""
        opaque = corpus.kinds[name] == "identifier" and not frame[name].take(release).notna().any()
        return opaque or not frame[name].take(real).notna().any()

    return [name for name in named if not empty(name)]


def _used(bench: Workbench) -> Rows:
    """The rows that are looked at, in ascending order: of real rows as many as both sides of a re-split need."""
    rng = bench.generator("rows of text profiles")
    parts = [
        sample.rows if len(sample) <= most else rng.choice(sample.rows, most, replace=False)
        for sample, most in ((bench.real, 2 * ROWS), (bench.candidate, ROWS))
    ]
    return np.unique(np.concatenate(parts))


def _among(sample: Sample, used: Rows) -> Rows:
    return sample.rows[np.isin(sample.rows, used)]


def _read(bench: Workbench, used: Rows) -> dict[str, TextColumn | DateColumn]:
    frame = bench.corpus.frame
    assert frame is not None
    real = np.isin(used, bench.real.rows)
    drawn = float(real.sum()) / len(bench.real)
    labels = None if bench.corpus.labels is None else bench.corpus.labels[used]
    made: dict[str, TextColumn | DateColumn] = {}
    for name in _columns(bench):
        column = frame[name].take(used).reset_index(drop=True)
        dated = bench.corpus.kinds[name] == "datetime"
        made[name] = date_column(column) if dated else text_column(column, real, drawn=drawn, labels=labels)
    return made


def _evidence(found: dict[str, Found]) -> Evidence:
    rows = [(name, question, one.value) for name, some in found.items() for question, one in some.items()]
    rows.sort(key=lambda row: (-row[2], row[0], row[1]))
    note = "0 is equal, 1 is disjoint; samples of one source do not reach 0, see the floor of the column."
    return Evidence(
        title="How the form of texts and dates differs",
        columns=("column", "form", "distance"),
        rows=tuple(rows[:LISTED]),
        note=note,
    )
