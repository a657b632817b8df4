"""Made-up records for the tests of the reports."""

from __future__ import annotations

import base64
import itertools
import math
import zlib
from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np

from counterproof.reports.judgement import Verdict, number
from counterproof.reports.model import (
    QUESTIONS,
    CellReading,
    EvidenceReading,
    FamilyReading,
    FloorReading,
    GateReading,
    Manifest,
    NotAssessed,
    PanelReading,
    Reading,
    RoleReading,
)
from counterproof.reports.record import Record

Whole = Literal["pass", "fail", "inconclusive", "error"]
TITLES = {
    "fidelity.kernel_distance": "kernel distance",
    "fidelity.marginals": "columns one by one",
    "fidelity.detectability": "telling real from synthetic",
    "coverage.representation": "representation",
    "coverage.recall": "recall",
    "leakage.copies": "exact copies",
    "leakage.near_copies": "near copies",
    "fairness.equal_opportunity_difference": "equal opportunity gap",
    "utility.tstr": "train on synthetic, test on real",
}


def gate_of(metric: str = "fidelity.kernel_distance", verdict: Verdict = "pass", **changes: Any) -> GateReading:
    plain: dict[str, Any] = {
        "expression": f"{metric} <= 0.15",
        "metric": metric,
        "field": "value",
        "group": {},
        "family": metric.partition(".")[0],
        "verdict": verdict,
        "operator": "<=",
        "limit": 0.15,
        "fail_limit": 0.15,
        "value": 0.08,
        "low": 0.05,
        "high": 0.11,
        "bound": 0.105,
        "floor": 0.02,
        "margin": 0.07,
        "why": f"{TITLES.get(metric, metric)} is 0.08 [0.05, 0.11]; at most 0.15 is tolerated",
    }
    return GateReading.model_validate(plain | changes)


def reading_of(metric: str = "fidelity.kernel_distance", **changes: Any) -> Reading:
    plain: dict[str, Any] = {
        "metric": metric,
        "family": metric.partition(".")[0],
        "title": TITLES.get(metric, ""),
        "headline": True,
        "n": {"reference": 4000, "candidate": 4000},
        "value": 0.08,
        "low": 0.05,
        "high": 0.11,
        "method": "jackknife over rows",
        "floor": FloorReading(value=0.02, low=0.01, high=0.03, spread=0.005, draws=20),
    }
    return Reading.model_validate(plain | changes)


def record_of(
    verdict: Whole = "pass",
    gates: Sequence[GateReading] = (),
    measurements: Sequence[Reading] = (),
    **changes: Any,
) -> Record:
    plain: dict[str, Any] = {
        "verdict": verdict,
        "because": f"the sentence behind {verdict}",
        "families": {
            family: FamilyReading(verdict=verdict if family == "fidelity" else "not_assessed") for family in QUESTIONS
        },
        "measurements": list(measurements),
        "gates": list(gates),
        "manifest": Manifest(),
    }
    return Record.model_validate(plain | changes)


def record_with(case: str) -> Record:
    """A small record of a named verdict; ``warn-only`` passes with a warn-level gate that failed."""
    good = gate_of("fidelity.marginals", "pass")
    if case == "warn-only":
        bad = gate_of(verdict="fail", level="warn", value=0.3, low=0.2, high=0.4, why="too far")
        return record_of(
            "pass", [good, bad], [reading_of()], warnings=["Too far (fidelity.kernel_distance; only warns)"]
        )
    verdict = cast("Whole", case)
    return record_of(verdict, [good, gate_of(verdict=verdict)], [reading_of()])


def marginals_panel(columns: int = 12, seed: int = 0) -> PanelReading:
    rng = np.random.default_rng(seed)
    made = [_marginal(rng, k) for k in range(columns)]
    made.sort(key=lambda column: -column["value"])
    return PanelReading(
        kind="marginals",
        title="Columns, worst first",
        data={"columns": made},
        note="Bars that fewer than 10 real rows carry are hidden.",
    )


def _marginal(rng: np.random.Generator, k: int) -> dict[str, Any]:
    names = ["age", "workclass", "hours_per_week", "education", "capital_gain", "occupation", "fnlwgt", "relationship"]
    numeric = k % 2 == 0
    edges = np.linspace(17, 90, 17).astype(int)
    labels = (
        [f"{a} to {b}" for a, b in itertools.pairwise(edges)]
        if numeric
        else [
            "Private",
            "Self-employed",
            "Local government",
            "State government",
            "Federal",
            "Without pay",
            "all others",
        ]
    )
    peak = np.exp(-0.5 * ((np.arange(len(labels)) - len(labels) * 0.35) / (len(labels) * 0.22)) ** 2)
    real = rng.dirichlet(peak * 400 + 1)
    synthetic = rng.dirichlet(real * 90 + 0.2)
    return {
        "column": names[k] if k < len(names) else f"column_{k}",
        "kind": "number" if numeric else "category",
        "statistic": "KS" if numeric else "TV",
        "value": float(np.abs(real - synthetic).sum() / 2),
        "floor": 0.014,
        "labels": labels,
        "real": [None if share < 0.004 else float(share) for share in real],
        "synthetic": synthetic.tolist(),
    }


def map_panel(points: int = 4000, seed: int = 0) -> PanelReading:
    rng = np.random.default_rng(seed)

    def cloud(n: int, wide: float) -> Any:
        centre = rng.choice(np.array([[-2.0, 0.0], [1.5, 1.4], [1.2, -1.6]]), n)
        return centre + rng.normal(scale=[0.7 * wide, 0.55 * wide], size=(n, 2))

    real, synthetic = cloud(6000, 1.0), cloud(points, 0.8)
    counts, x_edges, y_edges = np.histogram2d(real[:, 0], real[:, 1], bins=(36, 28))
    grid = [[None if 0 < c < 10 else int(c) for c in row] for row in counts.T]
    return PanelReading(
        kind="map",
        title="The release over the real data, first two principal axes",
        data={
            "axes": ["axis 1 (31 % of the variance)", "axis 2 (18 %)"],
            "x_edges": x_edges.tolist(),
            "y_edges": y_edges.tolist(),
            "real": grid,
            "x": synthetic[:, 0].tolist(),
            "y": synthetic[:, 1].tolist(),
        },
        note="Shaded: real rows; points: synthetic rows. Shade without points is missing.",
    )


def pairs_panel(*, redacted: bool = True, modality: str = "table", shows_real: bool = False) -> PanelReading:
    record = {"age": "39", "income": ">50K", "occupation": "Exec-managerial"}
    made = [
        {
            "synthetic": f"row {412 + k}",
            "real": f"row {90 + 7 * k}",
            "distance": 0.0 if k < 2 else 0.004 * k,
            "exact": k < 2,
            "agree": 14 if k < 2 else 13,
            "of": 14,
            "synthetic_image": None if redacted or modality != "image" else png(16, k),
            "real_image": None if redacted or modality != "image" else png(16, k),
            "synthetic_record": None if redacted else record,
            "real_record": None if redacted else record | ({} if k < 2 else {"age": "40"}),
        }
        for k in range(6)
    ]
    return PanelReading(
        kind="pairs",
        title="Closest pairs",
        data={"modality": modality, "redacted": redacted, "pairs": made},
        note="Contents are hidden: a copy would show the real record." if redacted else "",
        shows_real=shows_real,
    )


def png(side: int, shade: int) -> str:
    """A small grey PNG, base64."""
    rows = b"".join(b"\0" + bytes((shade * 40 + x * 3 + y * 5) % 256 for x in range(side)) for y in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    size = side.to_bytes(4, "big")
    header = chunk(b"IHDR", size + size + bytes([8, 0, 0, 0, 0]))
    packed = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return base64.b64encode(packed).decode("ascii")


def cells_panel() -> PanelReading:
    races = ["White", "Black", "Asian-Pac-Islander", "Amer-Indian-Eskimo", "Other"]
    ratios = [[1.03, 0.92, 1.4, 0.61, None], [0.97, 0.55, 0.88, None, 0.0]]
    cells: list[dict[str, Any]] = []
    for i, row in enumerate(ratios):
        for j, ratio in enumerate(row):
            state = "too few" if ratio is None else "empty" if ratio == 0 else "thin" if ratio < 0.7 else "ok"
            reach = None if ratio is None else 0.05 + 0.04 * j
            cells.append(
                {
                    "row": i,
                    "column": j,
                    "value": ratio,
                    "low": None if ratio is None or reach is None else ratio * math.exp(-reach),
                    "high": None if ratio is None or reach is None else ratio * math.exp(reach),
                    "n_real": None if ratio is None else 1200 // (1 + j * j * 3),
                    "n_synthetic": 0 if not ratio else int(1200 * ratio) // (1 + j * j * 3),
                    "state": state,
                }
            )
    return PanelReading(
        kind="cells",
        title="sex by race: share in the release over share in real data",
        data={"row_title": "sex", "column_title": "race", "rows": ["Female", "Male"], "columns": races, "cells": cells},
    )


def forest_panel(*, limit: float | None = 0.1) -> PanelReading:
    def reach(value: float, half: float) -> dict[str, float]:
        return {"value": value, "low": value - half, "high": value + half}

    entries = [
        {
            "label": f"{name}, {model}",
            "real": reach(a, 0.02),
            "synthetic": reach(b, 0.025),
            "change": reach(b - a, 0.03),
        }
        for name, a, b in [("sex", 0.08, 0.19), ("race", 0.12, 0.10), ("age", 0.05, 0.06)]
        for model in ("linear", "boosting")
    ]
    entries.append({"label": "too few rows of Other", "real": None, "synthetic": None, "change": None})
    return PanelReading(
        kind="forest",
        title="Gaps between groups, of models trained on real rows and on the release",
        data={"limit": limit, "unit": "share", "entries": entries},
        note="The change is what the release makes of it; the interval holds the luck of training.",
    )


def bars_panel() -> PanelReading:
    labels = ["capital_gain", "hours_per_week", "native_country", "age", "education"]
    data = {"labels": labels, "values": [0.21, 0.11, 0.04, 0.012, -0.003], "value_title": "AUROC lost when shuffled"}
    return PanelReading(kind="bars", title="What gives the release away", data=data)


def curves_panel() -> PanelReading:
    data = {
        "x_title": "share <of> real rows",
        "y_title": "share of synthetic rows",
        "x": [0.0, 0.25, 0.5, 0.75, 1.0],
        "release": [0.0, 0.1, 0.3, 0.6, 0.9],
        "low": [0.0, 0.2, 0.45, 0.7, 0.97],
        "high": [0.0, 0.3, 0.55, 0.8, 1.0],
    }
    return PanelReading(kind="curves", title="A curve", data=data)


def mosaic_panel() -> PanelReading:
    sexes = [("<F>", 0.7, 0.9, 0.8), ("M", 0.3, 0.1, 0.4)]
    groups = [
        {"name": name, "real": real, "synthetic": made, "n_real": 100, "n_synthetic": 100,
         "real_labels": [low, 1 - low], "synthetic_labels": [0.5, 0.5]}
        for name, real, made, low in sexes
    ]  # fmt: skip
    data = {"group_title": "sex", "label_title": "income", "labels": ["low", "high"], "groups": groups}
    return PanelReading(kind="mosaic", title="income by sex", data=data)


def evidence_of(rows: int = 14) -> EvidenceReading:
    return EvidenceReading(
        title="Release rows that equal a training row",
        columns=["release row", "training row", "copies", "explained by twins"],
        rows=[[f"row {412 + k}", f"row {97 + 3 * k}", 1 + k % 3, k % 4 == 0] for k in range(rows)],
        note="Row numbers count from 1.",
    )


def census_record(verdict: Whole = "fail") -> Record:
    """A record with everything in it: all panels, cells, waiver, warnings."""
    sexes = [
        CellReading(
            group={"sex": sex, "race": race},
            verdict=found,
            value=value,
            low=value * 0.9,
            high=value * 1.1,
            why=f"representation for sex={sex}, race={race} is {number(value)}; at least 0.8 is required",
        )
        for sex, race, found, value in [
            ("Female", "Black", "fail", 0.55),
            ("Male", "Other", "inconclusive", 0.83),
            ("Female", "White", "pass", 0.97),
            ("Male", "White", "pass", 1.03),
        ]
    ]
    few = [CellReading(group={"sex": "Male", "race": "Eskimo"}, verdict="inconclusive", value=0.7, low=0.3, high=1.6)]
    gates = [
        gate_of(field="excess", expression="fidelity.kernel_distance.excess <= 0.15", tolerance_reason="Simulated."),
        gate_of(
            "fidelity.detectability", "inconclusive", value=0.13, low=0.09, high=0.17, bound=0.164, n_needed=9600,
            why="telling real from synthetic is 0.13 [0.09, 0.17]; at most 0.15 is tolerated, but these data leave "
            "0.164 possible (n = 4000, about 9600 needed)",
        ),
        gate_of(
            "coverage.representation", "fail", expression="coverage.representation[*] >= 0.8", operator=">=",
            limit=0.8, fail_limit=0.8, value=0.55, low=0.495, high=0.605, bound=0.5, floor=1.0, cells=sexes,
            too_few=few, group=None, why="representation for sex=Female, race=Black is 0.55 [0.495, 0.605]; "
            "at least 0.8 is required; 1 cell with too few rows",
        ),
        gate_of("leakage.copies", "pass", limit=0.01, fail_limit=0.01, value=0.0004, low=0.0, high=0.0016,
                bound=0.0013, floor=0.0003, source="config"),
        gate_of("leakage.near_copies", "fail", waiver="until 2027-01-31 by ana: #41", value=0.3, low=0.25, high=0.35),
        gate_of(
            "fairness.equal_opportunity_difference", "fail", level="warn", group={"sex": None}, field="change",
            value=0.11, low=0.06, high=0.16, limit=0.05, fail_limit=0.05, floor=0.0, bound=0.15, source="config",
            why="equal opportunity gap, change for sex by 0.11 [0.06, 0.16]",
        ),
        gate_of("utility.tstr", "error", value=None, low=None, high=None, bound=None, floor=None, limit=None,
                fail_limit=None, why="utility.tstr crashed: ValueError: y has 1 class"),
    ]  # fmt: skip
    measurements = [
        reading_of(field="excess", panels=[map_panel()]),
        reading_of("fidelity.marginals", panels=[marginals_panel()], unit="KS or TV"),
        reading_of("fidelity.detectability", panels=[bars_panel()], value=0.13, low=0.09, high=0.17),
        reading_of("coverage.representation", panels=[cells_panel()], scale="log", better="higher"),
        reading_of("leakage.copies", panels=[pairs_panel()], evidence=[evidence_of()], alarm=""),
        reading_of("fairness.equal_opportunity_difference", field="change", group={"sex": None}, better="zero",
                   panels=[forest_panel()]),
        reading_of("utility.tstr", status="error", value=None, low=None, high=None, floor=None,
                   reason="ValueError: y has 1 class"),
    ]  # fmt: skip
    families = {
        "fidelity": FamilyReading(verdict="inconclusive", because=[gates[1].why + " (fidelity.detectability)"]),
        "coverage": FamilyReading(verdict="fail", because=[gates[2].why + " (coverage.representation)"]),
        "leakage": FamilyReading(verdict="pass", because=["every gate passed: 1 gate, 1 cell"]),
        "fairness": FamilyReading(
            verdict="not_assessed", because=["measured, but no gate that could fail looks at it"]
        ),
        "utility": FamilyReading(verdict="error", because=[gates[6].why + " (utility.tstr)"]),
    }
    return Record(
        verdict=verdict,
        because=f"coverage fails: {gates[2].why} (coverage.representation)",
        warnings=[
            "a gate that only warns fails: equal opportunity gap changes by 0.11 "
            "(fairness.equal_opportunity_difference)"
        ],
        families=families,
        measurements=measurements,
        gates=gates,
        manifest=manifest_of(),
        not_assessed=[NotAssessed(metric="fidelity.precision", reason="switched off in the configuration")],
    )


def manifest_of(**changes: Any) -> Manifest:
    roles = [
        RoleReading(role=role, source=f"{role}.parquet", rows=rows, digest="sha256:" + "0123456789abcdef" * 4)
        for role, rows in [("train", 16000), ("holdout", 8000), ("synthetic", 16000)]
    ]
    plain: dict[str, Any] = {
        "roles": roles,
        "config": {"data": {"train": "train.parquet", "label": "income"}, "run": {"seed": 0}},
        "packages": {"counterproof": "0.1.0", "numpy": "2.4.0", "torch": "2.13.0"},
        "encoder": "table, quantile scale, one-hot at half weight",
        "encoder_digest": "sha256:" + "ab" * 32,
        "modality": "table",
        "columns": {"age": "number", "sex": "category"},
        "command": "counterproof run --train train.parquet --holdout holdout.parquet --synthetic synthetic.parquet",
        "findings": ["12 rows of holdout also stand in train; the table's own twins explain 11"],
        "seconds": 41.3,
        "started": "2026-11-21T23:10:00Z",
        "audits_of_holdout": 2,
    }
    return Manifest.model_validate(plain | changes)
