"""What stands behind the fidelity of groups: rows far from the real rows of their own group, not of any group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.workbenches import bench
from scipy.spatial.distance import cdist

from counterproof.metrics.estimate import Estimate
from counterproof.metrics.shared.partitions import partition_by
from counterproof.metrics.subgroups.comparison import GroupComparison
from counterproof.metrics.subgroups.evidence import PICTURED, WORST_ROWS, evidence_of, far_rows, panels_of
from counterproof.metrics.subgroups.losses import Losses
from counterproof.metrics.subgroups.plan import ComparisonPlan, plan_cells
from counterproof.metrics.workbench import Workbench

N, K = 300, 5


def view_of(**more: Any) -> Workbench:
    """Group ``far`` stands at 10; one release row of ``near`` stands there too, among real rows of the wrong group."""
    rng = np.random.default_rng(9)
    names = np.repeat(["near", "far"], [N // 2, N // 2])
    centre = np.where(names == "far", 10.0, 0.0)[:, None]
    train, holdout, release = (centre + rng.normal(size=(N, 3)) for _ in range(3))
    release[0] = 10.0
    return bench(train, holdout, release, groups={"kind": np.tile(names, 3)}, **more)


@pytest.fixture(scope="module")
def view() -> Workbench:
    return view_of()


@pytest.fixture(scope="module")
def plan(view: Workbench) -> ComparisonPlan:
    return plan_cells(view, (partition_by(view, ("kind",)),))


def test_rows_are_far_from_the_real_rows_of_their_own_group(view: Workbench, plan: ComparisonPlan) -> None:
    near = next(cell for cell in plan.compared if str(cell) == "kind=near")
    found = far_rows(view, plan, near, K)
    assert len(found) == WORST_ROWS
    assert found[0].made == view.candidate.rows[0], "a likely row of another group is none of this one"
    real, made = (side.features[side.group("kind") == "near"] for side in (view.reference, view.candidate))
    rows = [view.reference.rows[view.reference.group("kind") == "near"], view.candidate.rows[: N // 2]]
    gap, radius = cdist(made, real), np.sort(cdist(real, real), 1)[:, K]
    times = gap.min(1) / radius[gap.argmin(1)]
    order = np.argsort(-times)[:WORST_ROWS]
    assert [row.made for row in found] == rows[1][order].tolist()
    assert [row.real for row in found] == rows[0][gap.argmin(1)[order]].tolist()
    assert [row.times for row in found] == pytest.approx(times[order])
    assert [row.distance for row in found] == pytest.approx(gap.min(1)[order])
    assert far_rows(view, plan, near, K) is found, "searched once"


def test_rows_are_listed_group_by_group_in_the_given_order(view: Workbench, plan: ComparisonPlan) -> None:
    worst = sorted(plan.compared, key=str, reverse=True)
    (found,) = evidence_of(view, plan, worst, K)
    assert [row[0] for row in found.rows] == ["kind=near"] * WORST_ROWS + ["kind=far"] * WORST_ROWS
    assert found.rows[0][1] == str(view.candidate.names[0])


def losses() -> Losses:
    return Losses(
        names=["kind=far", "kind=near"],
        values=np.array([0.1, 0.3]),
        errors=np.array([0.02, 0.05]),
        sizes=np.array([300.0, 300.0]),
    )


def test_losses_are_drawn_worst_first_with_normal_intervals(view: Workbench, plan: ComparisonPlan) -> None:
    (panel,) = panels_of(view, plan, plan.compared, [losses()], K, "precision", "share, lost")
    assert panel.kind == "forest"
    assert [entry["label"] for entry in panel.data["entries"]] == ["kind=near", "kind=far"]
    expected = Estimate.normal(0.3, 0.05, level=view.level)
    reach = panel.data["entries"][0]["synthetic"]
    assert reach == {"value": 0.3, "low": expected.low, "high": expected.high}


def test_images_get_pictures_of_the_worst_groups_hidden_by_default(plan: ComparisonPlan) -> None:
    pictured = view_of(modality="image", thumbnail=lambda at: b"png")
    panels = panels_of(pictured, plan, plan.compared, [losses()], K, "precision", "share, lost")
    assert [panel.kind for panel in panels] == ["forest", "pairs"]
    pairs = panels[1].data["pairs"]
    assert len(pairs) == WORST_ROWS * min(PICTURED, len(plan.compared))
    assert {pair["note"] for pair in pairs} == {"kind=near", "kind=far"}
    assert panels[1].data["redacted"] is True
    assert all(pair["real_image"] is None for pair in pairs)


def test_a_comparison_yields_every_quantity_of_every_group_and_the_worst_with_its_evidence(view: Workbench) -> None:
    parts = (partition_by(view, ("kind",)),)
    values = list(GroupComparison(bench=view, partitions=parts, k=K, by="precision").values("worst"))
    groups = [value for value in values if value.group]
    assert {(value.field, value.group) for value in groups} == {
        (field, (("kind", name),))
        for field in ("precision", "kernel_distance", "recall", "density", "coverage")
        for name in ("near", "far")
    }
    assert groups[0].field == "precision", "what groups are compared in comes first"
    whole = {value.field: value for value in values if not value.group}
    assert set(whole) == {"worst", "gap", "slope"}
    assert whole["worst"].evidence
    assert whole["worst"].panels
    assert not whole["gap"].evidence
    assert whole["slope"].status == "not_applicable", "two groups of one size have no slope"
