"""Does the release hold e-mail addresses, numbers or plates that belong to somebody?"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Evidence
from counterproof.metrics.leakage._identifier_patterns import identifiers_in, knows_region
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import Corpus, Rows, Sample
from counterproof.metrics.statistics.proportions import clopper_pearson
from counterproof.metrics.workbench import Workbench

LISTED = 1000
LARGE = 1e8  # whole numbers from here on may be identifiers that were read as numbers
EXACT = 2.0**53
FILES = "(file name)"
SUFFIX = re.compile(r"(?i)\.(?:png|jpe?g|webp|bmp|tiff?|gif)$")


@dataclass(frozen=True, eq=False, kw_only=True)
class Sightings:
    """Identifiers and where they stand: one row for each identifier, column and row.

    Attributes:
        table: ``identifier``, ``kind``, ``column`` and ``row`` (position in the corpus).
        columns: The columns that were looked through.
    """

    table: pd.DataFrame
    columns: tuple[str, ...]


@metric(
    id="leakage.identifiers",
    family="leakage",
    title="personal data in plain sight",
    unit="share of the release",
    null="none",
    needs=Needs(modalities=frozenset({"table", "image"})),
    reads=("texts",),
    tolerances=(
        Tolerance(
            "real",
            "<=",
            0.01,
            "identifiers of the records that it was made from have no place in a release: each one fails it, and "
            "310 rows without one certify 1 %",
        ),
    ),
    quantities={
        "real": Quantity(
            name="Identifiers of real records",
            shown_as="percent",
            measure="{} of release rows hold one",
            finding="The release holds identifiers of real records",
            means="Persons are named in it.",
            remedy="Remove or replace the identifiers; the evidence counts them by column (one may be chance).",
            telling="copies",
        ),
    },
)
def identifiers(bench: Workbench, *, region: str = "") -> Iterator[Value]:
    """Release rows that hold an e-mail address, telephone, card or account number, national id or licence plate.

    All text columns are scanned, long whole numbers too, and the file names of images. ``value`` counts every
    identifier, invented ones too: they may belong to somebody, and real data cannot tell how often a scanner
    errs, since real rows hold real identifiers. ``real`` counts rows with an identifier of a real record of
    this audit.

    Formula:
        value = release rows with an identifier / release rows

    How to read it:
        Its upper bound is the number to report. An identifier that stands in train (or in any real record,
        where train is not known) is an alarm. What as many real records share as ``small_cell`` says (ten),
        such as the number of a switchboard, belongs to nobody.

    Limits:
        0 means: none found by these formats. It never means that none is there. Names and addresses are not
        looked for.

    Args:
        bench: The samples.
        region: Country whose national telephone numbers are looked for as well (US, DE), if written in groups.

    Yields:
        value: Share of release rows with any identifier.
        real: Share of release rows with an identifier of a real record.

    Source:
        python-stdnum (check digits), phonenumbers (numbering plans), RFC 2606 (example domains); interval by
        Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404.
    """
    if region and not knows_region(region):
        raise MetricError(f"leakage.identifiers: region = {region!r} is no country code such as 'US'")
    found = sightings(bench.corpus, bench.release, region)
    if not found.columns:
        yield Value(status="not_applicable", reason="there is no text to look through")
        return
    owned = owners(bench, found, region)
    known, of_train = found.table["identifier"].isin(owned.real), found.table["identifier"].isin(owned.train)
    hits = [int(table["row"].nunique()) for table in (found.table, found.table[known])]
    n = {"release": len(bench.release)}
    looked = f"{len(found.columns)} {'column' if len(found.columns) == 1 else 'columns'} looked through"
    share = clopper_pearson(hits[0], len(bench.release), bench.level)
    yield Value(
        estimate=share,
        n=n,
        reason=f"{looked}; {in_words(found.table)}; to report: at most {share.high:.2g} of the rows",
        evidence=evidence(bench, found.table, known),
    )
    yield Value(
        field="real",
        estimate=clopper_pearson(hits[1], len(bench.release), bench.level),
        n=n,
        alarm=alarm(found.table[of_train], "training" if bench.train is not None else "real"),
        reason=f"{looked}; identifiers that real records of this audit hold",
    )


def in_words(table: pd.DataFrame) -> str:
    """How many of which kind.

    >>> in_words(pd.DataFrame({"identifier": ["a", "a", "b"], "kind": ["e-mail address"] * 3}))
    '2 e-mail addresses'
    """
    counts = table.groupby("kind")["identifier"].nunique()
    told = [f"{count} {kind if count == 1 else plural(str(kind))}" for kind, count in counts.items()]
    return ", ".join(told) or "no identifier found by these formats"


def plural(kind: str) -> str:
    """More than one of a kind.

    >>> plural("national id (us.ssn)"), plural("e-mail address")
    ('national ids (us.ssn)', 'e-mail addresses')
    """
    word, bracket, rest = kind.partition(" (")
    return f"{word}{'es' if word.endswith('s') else 's'}{bracket}{rest}"


def alarm(table: pd.DataFrame, kind: str) -> str:
    """The sentence that fails a release, for identifiers of records of one kind: ``training`` or ``real``.

    >>> alarm(pd.DataFrame({"identifier": ["a"], "kind": ["e-mail address"], "row": [7]}), "real")
    '1 e-mail address of real records stands in the release, in 1 of its rows'
    """
    if table.empty:
        return ""
    verb = "stands" if table["identifier"].nunique() == 1 else "stand"
    return f"{in_words(table)} of {kind} records {verb} in the release, in {table['row'].nunique()} of its rows"


# -- where they stand -------------------------------------------------------------------------------


def sightings(corpus: Corpus, sample: Sample, region: str, kinds: Collection[str] | None = None) -> Sightings:
    """Identifiers of all columns of a sample, of some kinds or of all."""
    parts, columns = [], []
    for name, texts in texts_of(corpus, sample):
        columns.append(name)
        codes, distinct = pd.factorize(texts, use_na_sentinel=True)
        found = identifiers_in([str(text) for text in distinct], region, kinds)
        held = pd.DataFrame(
            [(identifier, kind, code) for kind, several in found.items() for identifier, code in several],
            columns=["identifier", "kind", "code"],
        ).drop_duplicates()
        where = pd.DataFrame({"code": codes, "row": sample.rows})
        parts.append(held.merge(where, on="code").drop(columns="code").assign(column=name))
    empty = pd.DataFrame({"identifier": [], "kind": [], "row": np.zeros(0, dtype=np.intp), "column": []})
    filled = [part for part in parts if len(part)]
    return Sightings(table=pd.concat(filled, ignore_index=True) if filled else empty, columns=tuple(columns))


def texts_of(corpus: Corpus, sample: Sample) -> Iterator[tuple[str, pd.Series[str]]]:
    """Columns of text, of whole numbers that are long enough, and file names of images."""
    if corpus.modality == "image":
        yield FILES, pd.Series([SUFFIX.sub("", name).replace("_", " ") for name in sample.names], dtype=object)
    if corpus.frame is None:
        return
    for name in corpus.frame.columns:
        column = corpus.frame[name].iloc[sample.rows]
        if corpus.kinds.get(name) == "number":
            column = _long_numbers(column)
        elif corpus.kinds.get(name) in ("datetime", "boolean"):
            continue
        if column.notna().any():
            yield str(name), column


def _long_numbers(column: pd.Series[float]) -> pd.Series[str]:
    """Numbers as text, where they are whole and long; missing elsewhere."""
    values = column.to_numpy(dtype=float)
    long = (np.abs(values) >= LARGE) & (np.abs(values) < EXACT) & (values == np.floor(values))
    made = np.full(len(values), None, dtype=object)
    made[long] = [str(int(value)) for value in values[long]]
    return pd.Series(made, index=column.index, dtype=object)


# -- whose they are ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Owners:
    """Identifiers of the release that real records hold: of any of them, and of training records."""

    real: set[str]
    train: set[str]


def owners(bench: Workbench, found: Sightings, region: str) -> Owners:
    """Whose identifiers stand in the release; what many real records share is nobody's."""
    wanted = set(found.table["identifier"])
    if not wanted:
        return Owners(real=set(), train=set())
    table = sightings(bench.corpus, bench.real, region, set(found.table["kind"])).table
    table = table[table["identifier"].isin(wanted)]
    rows = table["row"].to_numpy(dtype=np.intp)
    sources = rows if bench.corpus.clusters is None else bench.corpus.clusters[rows]
    carried = table.assign(source=sources).groupby("identifier")["source"].nunique()
    own = set(carried[carried < bench.small_cell].index)
    learned: Rows = bench.train.rows if bench.train is not None else bench.real.rows
    in_train = set(table.loc[np.isin(rows, learned), "identifier"])
    return Owners(real=own, train=own & in_train)


# -- evidence ---------------------------------------------------------------------------------------


def evidence(bench: Workbench, table: pd.DataFrame, known: pd.Series[bool]) -> tuple[Evidence, ...]:
    """Kinds by column, then the rows, those with identifiers of real records first; no identifiers."""
    if table.empty:
        return ()
    marked = table.assign(known=known)
    kinds = tuple(
        (
            column,
            kind,
            part["row"].nunique(),
            part["identifier"].nunique(),
            part.loc[part["known"], "identifier"].nunique(),
        )
        for (column, kind), part in marked.groupby(["column", "kind"])
    )
    listed = marked.sort_values(["known", "row"], ascending=[False, True], kind="stable").head(LISTED)
    shown = ("identifier",) if bench.show_real else ()
    rows = tuple(
        (
            str(bench.corpus.names[row["row"]]),
            row["column"],
            row["kind"],
            "yes" if row["known"] else "no",
            *(row[name] for name in shown),
        )
        for row in listed.to_dict("records")
    )
    note = f"The first {LISTED} of {len(marked)}." if len(marked) > LISTED else ""
    if not bench.show_real:
        note = f"{note} The identifiers themselves are hidden.".strip()
    heads = ("release row", "column", "kind", "of a real record", *shown)
    return (
        Evidence(
            title="Identifiers by column",
            columns=("column", "kind", "release rows", "identifiers", "of real records"),
            rows=kinds,
        ),
        Evidence(
            title="Release rows with identifiers", columns=heads, rows=rows, note=note, shows_real=bench.show_real
        ),
    )
