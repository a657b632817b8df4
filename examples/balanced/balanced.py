"""Balanced is not faithful: two releases with as many rural as urban patients, of which one must not pass.

python examples/balanced/balanced.py [folder for the reports]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

import counterproof as cp

ALIKE = 1.554  # how far the classes lie apart, in spreads
TURN = np.radians(51)  # rural patients show the illness along another axis
MARKERS = ["marker_a", "marker_b"]
GATES = (
    "coverage.representation.target[site=*] >= 0.8",
    "fairness.subgroup_fidelity.gap <= 0.25",
    "leakage.copies <= 0.01",
)


def patients(rng: np.random.Generator, urban: int, rural: int, *, rural_looks: str = "rural") -> pd.DataFrame:
    """Patients of two sites; the generator may have learned what rural patients look like, or copy the urban look."""
    site = np.repeat(["urban", "rural"], [urban, rural])
    looks = np.where(site == "urban", "urban", rural_looks)
    ill = rng.random(len(site)) < 0.5
    angle = np.where(looks == "urban", 0.0, TURN)
    axis = np.column_stack([np.cos(angle), np.sin(angle)])
    markers = rng.normal(size=(len(site), 2)) + ALIKE * np.where(ill, 1, -1)[:, None] * axis
    exposure = rng.normal(size=len(site)) + np.where(looks == "urban", 0.0, 2.5)
    made = pd.DataFrame(markers, columns=MARKERS)
    return made.assign(exposure=exposure, site=site, diagnosis=np.where(ill, "ill", "well"))


def accuracy_gap(learned: pd.DataFrame, tested: pd.DataFrame) -> float:
    """Accuracy on urban less that on rural patients, of a linear model of the markers."""
    model = LogisticRegression().fit(learned[MARKERS], learned["diagnosis"])
    right = model.predict(tested[MARKERS]) == tested["diagnosis"].to_numpy()
    urban = tested["site"].to_numpy() == "urban"
    return float(right[urban].mean() - right[~urban].mean())


def gaps(seed: int = 0, n: int = 400_000) -> dict[str, float]:
    """The gap of models trained on 90 : 10 real rows, and on half urban, half rural rows of either generator."""
    rng = np.random.default_rng(seed)
    tested = patients(rng, n, n)
    learned = {
        "real, 90 : 10": patients(rng, 9 * n // 10, n // 10),
        "balanced, faithful": patients(rng, n // 2, n // 2),
        "balanced, majority-looking": patients(rng, n // 2, n // 2, rural_looks="urban"),
    }
    return {name: accuracy_gap(rows, tested) for name, rows in learned.items()}


def audit(looks: str, seed: int = 0) -> cp.Record:
    """A balanced release of 3,000 rows against 90 : 10 real rows."""
    rng = np.random.default_rng([seed, 1])
    train, holdout, test = (patients(rng, 2700, 300) for _ in range(3))
    return cp.audit(
        train=train,
        holdout=holdout,
        test=test,
        synthetic=patients(rng, 1500, 1500, rural_looks=looks),
        label="diagnosis",
        groups=["site"],
        metrics=[
            "coverage.representation",
            "fairness.subgroup_fidelity",
            "fairness.worst_group_accuracy",
            "leakage.copies",
        ],
        gates=GATES,
        options={"coverage.representation": {"target": {"site": {"urban": 0.5, "rural": 0.5}}}},
        policy="none",
        seed=seed,
    )


def main() -> None:
    """Print the three gaps and the two verdicts; write both reports."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    for name, gap in gaps().items():
        print(f"{name}: urban patients are diagnosed better by {gap:+.3f}")
    for name, looks in {"faithful": "rural", "majority-looking": "urban"}.items():
        record = audit(looks)
        record.to_html(folder / f"{name}.html")
        print(f"balanced, {name}: {record.verdict.upper()}, {record.because}")
    print(f"reports: {folder}")


if __name__ == "__main__":
    main()
