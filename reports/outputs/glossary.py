"""The glossary: terms of the field that the report uses, and the quantities of the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from counterproof.reports.model import RecordData
from counterproof.reports.sentences import filled

QUANTITIES_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One entry: the key it is linked by, its name, and what it means."""

    key: str
    name: str
    means: str


TERMS: Mapping[str, Term] = {
    key: Term(key=key, name=name, means=means)
    for key, name, means in (
        ("release", "release", "The synthetic data set that was audited: what would be published or used."),
        ("train", "train", "The real rows that the generator learned from. The release must not repeat them."),
        (
            "holdout",
            "holdout",
            "Real rows of the same source that the generator never saw. They show what fresh real data look like, "
            "and what an attack finds without any leak.",
        ),
        ("gate", "gate", "One condition on one measurement: an interval, a limit, and the verdict that follows."),
        (
            "verdict",
            "verdict",
            "Pass: the interval lies inside the limit. Fail: it lies outside. Inconclusive: it reaches across, so the "
            "data at hand cannot tell; that is never counted as a pass.",
        ),
        (
            "interval",
            "interval",
            "The range of values that the data leave possible, at the stated confidence (95 % unless said "
            "otherwise). It is what gates judge, never the value alone.",
        ),
        (
            "bound",
            "bound",
            "The end of the interval that a pass depends on: the worst value that is still possible, one-sided.",
        ),
        (
            "limit",
            "limit",
            "The number a measurement must stay within. “Why this limit” under each gate says where it comes from.",
        ),
        (
            "floor",
            "real against real",
            "The same measurement between two sets of real rows, also called the floor: what a perfect release would "
            "show at this number of rows. Differences below it mean nothing.",
        ),
        (
            "excess",
            "excess",
            "How far a measurement is worse than real against real. For distances without a natural unit it is "
            "counted in the distance of real columns shuffled independently.",
        ),
        (
            "decidable",
            "too few rows",
            "So few rows that even a faithful release could not be sure to pass. Such a cell is shown and not judged.",
        ),
        (
            "cell",
            "cell",
            "One of the places that a gate judges: a column, a group, or a crossing of them. A gate passes when every "
            "cell passes.",
        ),
        (
            "adjusted",
            "adjusted for many comparisons",
            "A fail is claimed only at a confidence that holds over all gates and cells together, so that looking at "
            "many does not produce fails by chance. A pass needs no such adjustment: every cell must pass.",
        ),
        (
            "control",
            "planted control",
            "A leak that the audit planted in a copy of the release to see whether its search finds it. A search that "
            "misses it is blind here, and its silence is no evidence.",
        ),
        (
            "aa",
            "A/A test",
            "An audit of real rows as if they were a release: how often gates fail where nothing is wrong.",
        ),
        (
            "auroc",
            "AUROC",
            "How well two kinds of rows are told apart: 0.5 is guessing, 1 is always. Area under the receiver "
            "operating characteristic curve.",
        ),
        (
            "tv",
            "TV",
            "Total variation: the share of rows that would have to change category for two distributions to agree. "
            "0 is equal, 1 has nothing in common.",
        ),
        (
            "ks",
            "KS",
            "Kolmogorov–Smirnov distance: the largest gap between two cumulative distributions of a number. 0 is "
            "equal, 1 has nothing in common.",
        ),
        (
            "precision",
            "precision and recall",
            "Of synthetic rows, the share that lies among real rows; and of real rows, the share that lies among "
            "synthetic ones. Low precision: unrealistic rows. Low recall: missing kinds of rows.",
        ),
        (
            "tstr",
            "TSTR",
            "Train on synthetic, test on real: a model learns from the release and is tried on real rows it never "
            "saw, beside one that learned from real rows.",
        ),
        (
            "membership",
            "membership inference",
            "An attack that guesses whether a given person's record was among the training rows.",
        ),
        (
            "attribute",
            "attribute inference",
            "An attack that guesses one value of a record from its other values, with the help of the release.",
        ),
        (
            "spread",
            "spread",
            "Standard deviation of a measurement over re-splits of real rows: how far it moves by chance.",
        ),
        (
            "waiver",
            "waiver",
            "A dated exception to a gate, with who granted it and why. It is shown, and expires.",
        ),
    )
}


def quantities(record: RecordData) -> list[Term]:
    """What the record says about its own quantities, by name."""
    found: dict[str, Term] = {}
    for key, about in record.about.items():
        name = filled(about.name, None)
        means = " ".join(filled(part, None) for part in (about.means, about.remedy) if part)
        if means and name not in found:
            found[name] = Term(key=key, name=name, means=means)
    return sorted(found.values(), key=lambda term: term.name.casefold())[:QUANTITIES_SHOWN]
