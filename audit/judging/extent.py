"""How much of the release was judged: which columns, by the gates of which question, and how many rows.

A column is judged where a gate that can fail gave a verdict on it: a gate on that column alone, or on the data
as a whole by a metric that looked at the column. What it looks like is the question of fidelity; a column
that leakage alone looks at may hold nonsense, and counts as not judged. Only where an audit has no gate of
fidelity at all does any other do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from counterproof.metrics.metric import FAMILIES
from counterproof.reports.model import CellReading, ColumnExtent, ExtentReading, GateReading, Manifest, Reading

UNJUDGED = 0.1  # of the columns, which a PASS by the standard policy may leave out
DECIDED = ("pass", "fail", "inconclusive")


def extent_of(gates: Sequence[GateReading], measurements: Sequence[Reading], manifest: Manifest) -> ExtentReading:
    """What was judged, from the gates as judged and what each metric looked at."""
    release = next((role.rows for role in manifest.roles if role.role == "synthetic"), 0)
    families = {reading.metric: reading.family for reading in measurements}
    single = [member for gate in gates for member in gate.single if member.level == "fail"]
    judging = {name: _judging(name, single, manifest.read_by) for name in manifest.released}
    asked = {gate.family for gate in single}
    return ExtentReading(
        unit="image" if manifest.modality == "image" else "row",
        rows=release,
        compared=manifest.compared,
        columns=[_column(name, judging[name], families, manifest, asked) for name in manifest.released],
        allowed=_allowed(manifest.config.get("run", {})),
    )


def too_much_unjudged(extent: ExtentReading) -> str:
    """Why a PASS would claim too much: a column that the user named, or too many, were not judged; else empty."""
    unjudged, columns = extent.unjudged, len(extent.columns)
    if not unjudged or extent.allowed >= 1:
        return ""
    named = [one for one in unjudged if one.named]
    if named:
        some = ", ".join(f"{one.column!r}, named as {one.named}" for one in named)
        return f"no gate judged {some}: allow it by unjudged = 1 under [run]"
    if len(unjudged) > extent.allowed * columns:
        return (
            f"no gate judged {len(unjudged)} of {columns} columns, and a PASS may leave {extent.allowed:.0%} unjudged "
            "(unjudged under [run])"
        )
    return ""


def _column(
    name: str, judging: set[str], families: Mapping[str, str], manifest: Manifest, asked: set[str]
) -> ColumnExtent:
    data = manifest.config.get("data", {})
    seen = {families.get(metric, "") for metric, read in manifest.read_by.items() if name in read}
    return ColumnExtent(
        column=name,
        kind=manifest.columns.get(name, ""),
        judged_by=[family for family in FAMILIES if family in judging],
        seen_by=[family for family in FAMILIES if family in seen],
        named=_named(name, data),
        judged="fidelity" in judging if "fidelity" in asked and name != data.get("cluster") else bool(judging),
    )


def _judging(name: str, gates: Sequence[GateReading], read_by: Mapping[str, list[str]]) -> set[str]:
    """The families with a gate that gave a verdict on the column."""
    return {gate.family for gate in gates if any(_decided(name, gate, read_by.get(gate.metric, [])))}


def _decided(name: str, gate: GateReading, read: Sequence[str]) -> Iterator[bool]:
    """For each cell of the gate, or the gate itself, whether it is about this column and has a verdict."""
    cells = gate.cells or [CellReading(group=gate.group or {}, verdict=gate.verdict)]
    for cell in cells:
        about = cell.group.get("column", name if name in read else None)
        yield about == name and cell.verdict in DECIDED


def _named(name: str, data: Mapping[str, object]) -> str:
    if name == data.get("label"):
        return "the label"
    groups, kinds = data.get("groups") or (), data.get("kinds") or {}
    if isinstance(groups, (list, tuple)) and name in groups:
        return "a group"
    return "a kind" if isinstance(kinds, Mapping) and name in kinds else ""


def _allowed(run: Mapping[str, object]) -> float:
    """The configured share; without it all, where single metrics or gates of one's own are what was asked for."""
    given, metrics = run.get("unjudged"), run.get("metrics") or ()
    if isinstance(given, (int, float)):
        return float(given)
    whole = not metrics or (isinstance(metrics, (list, tuple)) and "fidelity" in metrics)
    return UNJUDGED if whole and run.get("policy") != "none" else 1.0
