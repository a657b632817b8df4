"""Judges a record again, without recomputing anything."""

from __future__ import annotations

from collections.abc import Sequence

from counterproof.grammar import parse_gate
from counterproof.reports.record import Record
from counterproof.verdict import judged


def rejudged(
    record: Record, *, fail: Sequence[str], warn: Sequence[str], keep_policy: bool, baseline: Record | None = None
) -> Record:
    """The same measurements under other gates.

    Raises:
        GateError: A gate cannot be read, or the baseline cannot be compared with.
    """
    kept = [gate for gate in record.gates if keep_policy or gate.source == "config"]
    gates = [
        parse_gate(g.expression, level=g.level, source=g.source, tolerance_reason=g.tolerance_reason) for g in kept
    ]
    gates += [parse_gate(text) for text in fail] + [parse_gate(text, level="warn") for text in warn]
    run = record.manifest.config.get("run", {})
    return judged(
        gates=gates,
        measurements=record.measurements,
        manifest=record.manifest,
        not_assessed=record.not_assessed,
        confidence=float(run.get("confidence", 0.95)),
        small_cells=run.get("small_cells", "allow"),
        without_holdout=run.get("without_holdout", "refuse"),
        baseline=baseline,
    )
