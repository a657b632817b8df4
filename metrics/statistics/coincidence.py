"""Whether equal rows can arise by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from counterproof.metrics.sample import Rows, Sample

COARSE = 0.05  # share of rows with near twins from which a table counts as coarse


def joint_code(columns: Sequence[Rows]) -> Rows:
    """A number per row, the same for rows whose codes agree in every column.

    >>> joint_code([np.array([0, 0, 1]), np.array([1, 1, 1])]).tolist()
    [0, 0, 1]
    """
    code = columns[0]
    for values in columns[1:]:
        code = np.unique(code * (values.max() + 1) + values, return_inverse=True)[1]
    return code


def coincidental(sample: Sample) -> bool:
    """Whether equal rows could arise by chance though none do: a table whose duplicates were removed.

    Rows that agree in all columns but one tell of it; numbers that hardly ever repeat do not.
    """
    mixed = sample.corpus.mixed
    if mixed is None or len(mixed.columns) < 2:
        return False
    columns = [np.unique(column[sample.rows], return_inverse=True)[1] for column in (*mixed.numeric.T, *mixed.codes.T)]
    for left_out, removed in enumerate(columns):
        if removed.max() >= len(removed) / 2:
            continue  # a column that hardly ever repeats: leaving it out tells nothing
        code = joint_code([*columns[:left_out], *columns[left_out + 1 :]])
        if len(np.unique(code)) < (1 - COARSE / len(columns)) * len(code):
            return True
    return False
