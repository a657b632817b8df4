"""Has the release the columns of the real data?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from counterproof.metrics.estimate import Estimate, Evidence
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import Mismatch
from counterproof.metrics.workbench import Workbench

_SHOWN = 3  # mismatches in the sentence; the evidence has them all


@metric(
    id="fidelity.schema",
    family="fidelity",
    title="schema",
    headline="mismatches",
    unit="columns",
    null="none",
    needs=Needs(modalities=frozenset({"table"})),
    reads=(),
    tolerances=(
        Tolerance("mismatches", "<=", 0.0, "what reads the real data cannot read a release without their columns"),
        Tolerance("extra", "<=", 0.0, "readers pass over columns that they do not know, so this warns", level="warn"),
    ),
    quantities={
        "mismatches": Quantity(
            name="Columns missing or of another type",
            measure="{} columns",
            finding="The release does not have the columns of the real data",
            means="What reads the real data cannot read the release.",
            remedy="Give the release the columns and types of the real data, then audit it again.",
            telling="schema",
        ),
        "extra": Quantity(
            name="Columns that only the release has, and identifiers it left out",
            measure="{} columns",
            finding="The release has columns that real data have not, or leaves out identifiers",
            means="Readers usually pass over such columns.",
            remedy="Drop the additional columns, or say what they are for.",
        ),
    },
)
def schema(bench: Workbench) -> Iterator[Value]:
    """Whether the release has the columns of the real data, in their types.

    A column has another type if it is a number in real data and no value of the release is a number. A column
    that does not match is left out of the audit for all roles, so that every other number is about the columns
    that both have.

    Formula:
        mismatches = number of real columns that are missing from the release or of another type there

    How to read it:
        0 is the only good value. All are exact counts, and facts: one mismatch fails.

    Limits:
        It looks at names and types alone, not at values.

    Yields:
        mismatches: Columns that are missing from the release, or of another type.
        extra: Columns that only the release has, and identifiers that it left out.

    Source:
        A plain count.
    """
    found = bench.corpus.schema
    for field, some in (
        ("mismatches", [one for one in found if one.fails]),
        ("extra", [one for one in found if not one.fails]),
    ):
        yield Value(
            field=field,
            estimate=Estimate.point(float(len(some)), level=bench.level, method="exact count"),
            alarm=_sentence(some),
            evidence=_evidence(some),
        )


def _sentence(some: Sequence[Mismatch]) -> str:
    if not some:
        return ""
    told = [one.sentence for one in some[:_SHOWN]]
    if len(some) > _SHOWN:
        told.append(f"{len(some) - _SHOWN} more")
    without = [one.column for one in some if one.fails and one.left_out]
    if without:
        it = "it" if len(without) == 1 else f"these {len(without)} columns"
        told.append(f"all else was computed without {it}")
    return "; ".join(told)


def _evidence(some: Sequence[Mismatch]) -> tuple[Evidence, ...]:
    if not some:
        return ()
    rows = tuple((one.column, one.sentence) for one in some)
    return (Evidence(title="Columns that do not match", columns=("column", "what does not match"), rows=rows),)
