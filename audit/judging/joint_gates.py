"""Gates that must all hold: no leak found, fair and useful, at once.

An intersection-union test (Berger 1982, doi:10.1080/00401706.1982.10487790): the whole passes when every
gate passes at its own plain confidence, which needs no correction; it fails when one of them fails, which is
adjusted like any other fail for all gates that can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from counterproof.judging.grammar import Gate
from counterproof.reports.judgement import Verdict
from counterproof.reports.model import TOGETHER, GateReading

ORDER: tuple[Verdict, ...] = ("fail", "error", "inconclusive")
UNSHOWN: tuple[Verdict, ...] = ("undecided", "not_applicable")  # of a member that shows nothing


@dataclass(frozen=True, kw_only=True)
class AllOf:
    """Gates that are one requirement.

    Attributes:
        name: What readers know it by.
        gates: Its members.
    """

    name: str
    gates: tuple[Gate, ...]


Requirement = Gate | AllOf


def leaves(requirements: Sequence[Requirement]) -> list[Gate]:
    """Every single gate."""
    return [gate for one in requirements for gate in (one.gates if isinstance(one, AllOf) else (one,))]


def joined(name: str, members: Sequence[GateReading]) -> GateReading:
    """One reading of several judged gates; the numbers are those of the member that decides.

    A member that does not apply to the data leaves the claim open: nothing has shown that it holds.
    """
    found = {member.verdict for member in members}
    verdict: Verdict = next((one for one in ORDER if one in found), "pass")
    unshown = next((one for one in UNSHOWN if one in found), None)
    if verdict == "pass" and unshown is not None:
        verdict = "inconclusive" if "pass" in found or unshown == "undecided" else "not_applicable"
    decides = unshown if unshown and verdict == "inconclusive" and "inconclusive" not in found else verdict
    leading = min((m for m in members if m.verdict == decides), key=_slack)
    return leading.model_copy(
        update={
            "name": name,
            "expression": f'all_of "{name}"',
            "family": TOGETHER,
            "verdict": verdict,
            "why": _why(verdict, leading, members),
            "n_needed": max((m.n_needed or 0 for m in members), default=0) or None,
            "adjusted_for": max(m.adjusted_for for m in members),
            "tolerance_reason": "",
            "widest": None,
            "cells": [],
            "too_few": [],
            "members": list(members),
        }
    )


def _slack(member: GateReading) -> float:
    """Facts have no margin, and come first."""
    return float("-inf") if member.margin is None else member.margin


def _why(verdict: Verdict, leading: GateReading, members: Sequence[GateReading]) -> str:
    same = sum(member.verdict == leading.verdict for member in members)
    if verdict == "pass":
        return f"all {len(members)} requirements hold, the nearest to its limit: {leading.why}"
    others = f" (and {same - 1} more of {len(members)} requirements)" if same > 1 else ""
    return f"{leading.why}{others}"
