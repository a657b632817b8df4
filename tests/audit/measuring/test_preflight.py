"""One line before the work names what these numbers of rows cannot decide, told from counts of real rows alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
from helpers.records import desk, three

from counterproof.measuring.preflight import preflight
from counterproof.metrics.fairness.group_gaps import demographic_parity_difference, equal_opportunity_difference
from counterproof.metrics.fidelity.precision import precision
from counterproof.metrics.utility.tstr import tstr

METRICS = (precision, demographic_parity_difference, equal_opportunity_difference, tstr)


def people(n: int, seed: int, *, positive: float = 0.3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "sex": rng.choice(["F", "M"], n),
            "hired": np.where(rng.random(n) < positive, "yes", "no"),
        }
    )


def line(n: int, **more: float) -> str:
    frames = three(lambda rows, seed: people(rows, seed, **more), n, 1)
    return preflight(METRICS, desk(sources=frames, label="hired", groups=("sex",)))


def test_many_rows_have_nothing_to_foresee() -> None:
    assert line(4000) == ""


def test_few_rows_name_the_gates_and_what_would_settle_them() -> None:
    told = line(60)
    assert told.startswith("with 60 rows a role these gates cannot be decided: ")
    assert "demographic parity difference" in told
    assert "train on synthetic, test on real (the rarer class of hired has" in told
    assert told.endswith("give a test set, fewer groups, or more rows")


def test_a_rare_class_is_told_apart_from_few_rows() -> None:
    told = line(2000, positive=0.01)
    assert "equal opportunity difference (the largest groups of sex have" in told
    assert "positive test rows" in told
    assert "demographic parity" not in told


def test_the_release_has_no_say() -> None:
    frames = three(people, 60, 1)
    small = frames | {"synthetic": frames["synthetic"].iloc[:20]}
    lines = {preflight(METRICS, desk(sources=one, label="hired", groups=("sex",))) for one in (frames, small)}
    assert len({text.partition(":")[2] for text in lines}) == 1
