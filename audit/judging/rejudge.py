"""Judges a record again, without recomputing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from counterproof.config import Run
from counterproof.judging.grammar import Gate, parse_gate
from counterproof.judging.joint_gates import AllOf, Requirement
from counterproof.judging.verdict import judged
from counterproof.refusal import Refusal
from counterproof.reports.model import GateReading
from counterproof.reports.record import Record

JUDGING = ("confidence", "undecided", "small_cells", "without_holdout")


def rejudged(
    record: Record, *, fail: Sequence[str], warn: Sequence[str], keep_policy: bool, baseline: Record | None = None
) -> Record:
    """The same measurements under other gates.

    Raises:
        GateError: A gate cannot be read, or the baseline cannot be compared with.
    """
    kept = [gate for gate in record.gates if keep_policy or gate.source == "config"]
    gates: list[Requirement] = [
        AllOf(name=g.name, gates=tuple(map(_again, g.members))) if g.members else _again(g) for g in kept
    ]
    gates += [parse_gate(text) for text in fail] + [parse_gate(text, level="warn") for text in warn]
    rules = rules_of(record)
    return judged(
        gates=gates,
        measurements=record.measurements,
        manifest=record.manifest,
        not_assessed=record.not_assessed,
        confidence=rules.confidence,
        undecided=rules.undecided,
        without_holdout=rules.without_holdout,
        baseline=baseline,
        words=record.about,
    )


def _again(gate: GateReading) -> Gate:
    again = parse_gate(gate.expression, level=gate.level, source=gate.source, tolerance_reason=gate.tolerance_reason)
    return replace(again, widest=gate.widest)


def rules_of(record: Record) -> Run:
    """How the record was judged; it may come from anywhere, so this is validated.

    Raises:
        Refusal: Its manifest holds no valid configuration.
    """
    run = record.manifest.config.get("run", {})
    try:
        return Run.model_validate({name: run[name] for name in JUDGING if name in run})
    except (ValueError, TypeError):
        raise Refusal("the record's manifest holds a configuration that is not valid; audit again") from None
