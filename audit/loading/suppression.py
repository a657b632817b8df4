"""Suppression: no audit names a group or label value that only a few real rows have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from counterproof.inputs.findings import remark
from counterproof.loading.intake import Intake
from counterproof.metrics.sample import MISSING_TEXT, RARE_TEXT

Texts = NDArray[np.str_]


def pool_rare_values(intake: Intake, *, small_cell: int, show_real: bool) -> Intake:
    """Pool the rare values of groups and labels, so that none of them reaches a record.

    A value that fewer than ``small_cell`` real rows of all roles carry becomes ``(rare values)``,
    with a finding. What only the release holds keeps its name: it is no real value. A value that
    is spelt like one of the two markers is put in quotes. Columns of the table itself stay as
    they are.

    Args:
        intake: What was read.
        small_cell: Real rows below which a value is rare.
        show_real: Contents of real records may be shown: nothing is pooled.
    """
    corpus, findings = intake.corpus, list(intake.findings)
    real = np.concatenate([rows for role, rows in intake.roles.items() if role != "synthetic"])

    def suppressed(name: str, values: Texts) -> Texts:
        found = quoted(values)
        if show_real:
            return found
        rare = rare_values(found[real], small_cell)
        if not len(rare):
            return found
        finding = remark(pooling_finding(name, len(rare), small_cell))
        if finding not in findings:  # a label that is a group as well is told of once
            findings.append(finding)
        return np.where(np.isin(found, rare), RARE_TEXT, found)

    groups = {name: suppressed(name, values) for name, values in corpus.groups.items()}
    labels = None if corpus.labels is None else suppressed(corpus.label, corpus.labels)
    return replace(intake, corpus=replace(corpus, groups=groups, labels=labels), findings=findings)


def pooling_finding(name: str, rare: int, small_cell: int) -> str:
    """The finding.

    >>> pooling_finding("race", 3, 10)
    '3 values of race are carried by fewer than 10 real rows each: pooled'
    """
    if rare == 1:
        return f"1 value of {name} is carried by fewer than {small_cell} real rows: pooled"
    return f"{rare} values of {name} are carried by fewer than {small_cell} real rows each: pooled"


def rare_values(real: Texts, small_cell: int) -> Texts:
    """Values that some, but fewer than ``small_cell`` rows carry; missing is no value."""
    values, counts = np.unique(real[real != ""], return_counts=True)
    rare: Texts = values[counts < small_cell]
    return rare


def quoted(values: Texts) -> Texts:
    """Values that are spelt like a marker, in quotes that no other value has.

    >>> quoted(np.array(["a", "(missing)", ""])).tolist()
    ['a', "'(missing)'", '']
    """
    for marker in (MISSING_TEXT, RARE_TEXT):
        if marker in values:
            name = f"'{marker}'"
            while name in values:
                name = f"'{name}'"
            values = np.where(values == marker, name, values)
    return values
