"""From judged gates to the verdict of each question, of the whole, and the exit code.

FAIL outweighs a crash, a crash outweighs INCONCLUSIVE; nothing decided is never a PASS, and gates
of level ``warn`` change nothing but the list of warnings. A metric that crashed is a crash whether or not a gate
looks at it: what it would have found nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from counterproof.judging.extent import extent_of, too_much_unjudged
from counterproof.judging.gates import judge_gates
from counterproof.judging.joint_gates import Requirement
from counterproof.metrics.metric import FAMILIES
from counterproof.reports.judgement import Verdict
from counterproof.reports.model import (
    TOGETHER,
    ExtentReading,
    FamilyReading,
    GateReading,
    Manifest,
    NotAssessed,
    Reading,
)
from counterproof.reports.record import Record
from counterproof.reports.sentences import Words, most_telling
from counterproof.reports.text import counted, sentence

Whole = Literal["pass", "fail", "inconclusive", "error"]
EXIT: Mapping[str, int] = {"pass": 0, "fail": 1, "inconclusive": 3, "error": 4}
USAGE = 2
WORST: tuple[Whole, ...] = ("fail", "error", "inconclusive", "pass")
WARNS: Mapping[str, str] = {
    "fail": "only warns",
    "error": "only warns, and could not be judged",
    "inconclusive": "only warns, and is open",
}
NO_WORDS: Words = MappingProxyType({})
_SILENT = ("undecided", "not_applicable")


def judged(
    *,
    gates: Sequence[Requirement],
    measurements: Sequence[Reading],
    manifest: Manifest,
    not_assessed: Sequence[NotAssessed] = (),
    confidence: float = 0.95,
    undecided: Literal["allow", "block"] = "allow",
    without_holdout: Literal["refuse", "allow"] = "refuse",
    baseline: Record | None = None,
    words: Words | None = None,
) -> Record:
    """The record of an audit: measurements, judged; see :func:`counterproof.judging.gates.judge_gates`.

    ``without_holdout="allow"`` only excuses audits that had no holdout.

    Raises:
        GateError: A gate of the configuration names what does not exist or cannot be compared.
    """
    held = any(role.role == "holdout" for role in manifest.roles)
    readings = judge_gates(
        gates,
        measurements,
        confidence=confidence,
        undecided=undecided,
        without_holdout="refuse" if held else without_holdout,
        baseline=baseline,
        words=words,
    )
    known = bool(manifest.released or manifest.compared)  # records of earlier versions do not tell
    extent = extent_of(readings, measurements, manifest) if known else None
    words = words or {}
    families = families_of(readings, measurements, words)
    verdict, because, warnings = verdict_of(readings, measurements, extent, words)
    return Record(
        verdict=verdict,
        because=" ".join(filter(None, [because, _not_judged(families, manifest.no_labels, because)])),
        warnings=warnings,
        families=families,
        measurements=list(measurements),
        gates=readings,
        manifest=manifest,
        not_assessed=list(not_assessed),
        extent=extent,
        about=dict(words),
    )


def _not_judged(families: Mapping[str, FamilyReading], no_labels: str, told: str) -> str:
    """The questions that need classes, where the label that was given has none."""
    open_ones = [family for family in ("utility", "fairness") if families[family].verdict == "not_assessed"]
    if not no_labels or not open_ones or no_labels in told:
        return ""
    return f"{' and '.join(open_ones).capitalize()} {'were' if len(open_ones) > 1 else 'was'} not judged: {no_labels}."


def families_of(
    gates: Sequence[GateReading], measurements: Sequence[Reading], words: Words = NO_WORDS
) -> dict[str, FamilyReading]:
    """The verdict of each of the five questions: the worst of its gates, those of a joint requirement among them.

    Where several gates must hold together, that is one question more.
    """
    single = [member for gate in gates for member in gate.single]
    found = {family: _family(family, single, measurements, words) for family in FAMILIES}
    if any(gate.members for gate in gates):
        found[TOGETHER] = _family(TOGETHER, gates, measurements, words)
    return found


def verdict_of(
    gates: Sequence[GateReading],
    measurements: Sequence[Reading],
    extent: ExtentReading | None = None,
    words: Words = NO_WORDS,
) -> tuple[Whole, str, list[str]]:
    """The verdict of the whole, the sentence behind it, and the warnings."""
    strict = [gate for gate in gates if gate.level == "fail"]
    verdict = _worst([gate.verdict for gate in strict])
    if verdict not in ("fail", "error") and (crashed := _crashes(measurements)):
        more = f" (and {len(crashed) - 1} more)" if len(crashed) > 1 else ""
        return "error", f"A metric crashed, and no gate looks at it: {crashed[0]}{more}.", _told(gates, measurements)
    if verdict in (None, "pass") and (open_family := _undecided_family(strict)):
        verdict = "inconclusive"
        first, *others = open_family
        more = f" (and {counted(len(others), 'more gate')})" if others else ""
        return verdict, f"{sentence(first.family)} cannot be judged: {first.why}{more}.", _told(gates, measurements)
    if verdict == "pass" and extent is not None and (unjudged := too_much_unjudged(extent)):
        return "inconclusive", f"{sentence(unjudged).removesuffix('.')}.", _told(gates, measurements)
    return verdict or "inconclusive", _because(verdict or "inconclusive", gates, words), _told(gates, measurements)


def _crashes(measurements: Sequence[Reading], family: str | None = None) -> list[str]:
    """The metrics that crashed, of one question or of all, each with what happened."""
    crashed = [r for r in measurements if r.status == "error" and family in (None, r.family)]
    return list(dict.fromkeys(f"{r.reason} ({r.metric})" for r in crashed))


def _told(gates: Sequence[GateReading], measurements: Sequence[Reading]) -> list[str]:
    return [*_warned(gates, measurements), *_unheeded(gates, measurements)]


def _undecided_family(strict: Sequence[GateReading]) -> list[GateReading]:
    """The undecided gates of a question none of whose gates decides; empty where each question has one that does."""
    single = [member for gate in strict for member in gate.single]
    for family in dict.fromkeys(gate.family for gate in single):
        verdicts = {gate.verdict for gate in single if gate.family == family} - {"not_applicable"}
        if verdicts == {"undecided"}:
            return [gate for gate in single if gate.family == family and gate.verdict == "undecided"]
    return []


def _worst(verdicts: Sequence[Verdict]) -> Whole | None:
    return next((verdict for verdict in WORST if verdict in verdicts), None)


def _because(verdict: Whole, gates: Sequence[GateReading], words: Words) -> str:
    strict = [gate for gate in gates if gate.level == "fail"]
    if not strict:
        return "Nothing was required: there is no gate that could fail."
    if verdict == "pass":
        return _passed(gates)
    leading = most_telling(verdict, strict, words)
    if not leading:
        return "Nothing could be decided: no gate applies to these data."
    others = len(leading) - 1
    one, several = {
        "fail": ("fails", "fail"),
        "error": ("could not be judged", "could not be judged"),
        "inconclusive": ("is open", "are open"),
    }[verdict]
    more = f" {counted(others, 'more gate')} {one if others == 1 else several}." if others else ""
    named = f"'{leading[0].name}' {one}: " if leading[0].name else ""  # a joint requirement is known by its name
    return f"{named}{sentence(leading[0].why).removesuffix('.')}.{more}"


def _family(family: str, gates: Sequence[GateReading], measurements: Sequence[Reading], words: Words) -> FamilyReading:
    of_family = [gate for gate in gates if gate.family == family]
    strict = [gate for gate in of_family if gate.level == "fail"]
    verdict = _worst([gate.verdict for gate in strict])
    if verdict not in ("fail", "error") and (crashed := _crashes(measurements, family)):
        return FamilyReading(verdict="error", because=[f"a metric crashed: {told}" for told in crashed])
    excused = _excused(strict, measurements)
    if verdict in (None, "pass") and excused:
        passed = sum(gate.verdict == "pass" for gate in strict)
        facts = f"; {counted(passed, 'gate')} that need{'s' if passed == 1 else ''} none passed"
        return FamilyReading(verdict="not_assessed", because=[f"{excused}{facts if passed else ''}"])
    if verdict == "pass":
        return FamilyReading(verdict=verdict, because=[_passed(of_family)])
    if verdict is None and any(gate.verdict == "undecided" for gate in strict):
        because = [f"{gate.why} ({gate.metric})" for gate in strict if gate.verdict == "undecided"]
        return FamilyReading(verdict="inconclusive", because=because)
    if verdict is not None:
        open_ones = [gate for found in WORST[:-1] for gate in most_telling(found, strict, words)]
        return FamilyReading(verdict=verdict, because=[f"{gate.why} ({gate.metric})" for gate in open_ones])
    because = [f"{gate.why} ({gate.metric})" for gate in strict]
    if not because:
        measured = any(r.family == family and r.status == "measured" for r in measurements)
        because = ["measured, but no gate that could fail looks at it" if measured else "nothing was measured"]
    return FamilyReading(verdict="not_assessed", because=because)


def _excused(gates: Sequence[GateReading], measurements: Sequence[Reading]) -> str:
    """Why gates were let pass by although the data cannot tell: an audit without a holdout; empty where none was."""
    cannot = {reading.metric: reading.reason for reading in measurements if reading.status == "not_assessable"}
    excused = [gate for gate in gates if gate.verdict == "not_applicable" and gate.metric in cannot]
    if not excused:
        return ""
    return f"{counted(len(excused), 'gate')} could not be judged: {cannot[excused[0].metric]}"


def _passed(gates: Sequence[GateReading]) -> str:
    """How many gates passed, over how many cells; as many as the outputs list."""
    passed = [gate for gate in gates if gate.verdict == "pass"]
    missed = [gate for gate in gates if gate.level == "warn" and gate.verdict not in (*_SILENT, "pass")]
    few = sum(gate.verdict == "undecided" for gate in gates)
    single = [member for gate in passed for member in gate.single]
    cells = sum(max(1, len(gate.cells)) for gate in single)
    small = sum(len(gate.too_few) for gate in single)
    which = " that can fail" if missed else ""
    told = f"All {counted(len(passed), 'gate')}{which} passed" if len(passed) > 1 else f"The gate{which} passed"
    told += f", at {cells:,} places (columns, groups, models)." if cells > len(single) else "."
    unknown = [counted(few, "more gate") if few else "", counted(small, "more place") if small else ""]
    lacking = " and ".join(filter(None, unknown))
    return f"{told} {sentence(lacking)} {'has' if few + small == 1 else 'have'} too few rows." if lacking else told


def _warned(gates: Sequence[GateReading], measurements: Sequence[Reading]) -> list[str]:
    """Gates that only warn and did not pass, and searches that are blind on these data."""
    told = [
        f"{sentence(gate.why).removesuffix('.')} ({gate.metric}; {WARNS[gate.verdict]})"
        for gate in gates
        if gate.level == "warn" and gate.verdict not in ("pass", "undecided", "not_applicable")
    ]
    missed = {(reading.metric, reading.field) for reading in measurements if reading.missed_controls}
    strict = [gate for gate in gates if gate.level == "fail" and gate.verdict == "undecided"]
    return [
        *told,
        *(
            f"{sentence(gate.why)} ({gate.metric}; nothing passes it)"
            for gate in strict
            if (gate.metric, gate.field) in missed
        ),
    ]


def _unheeded(gates: Sequence[GateReading], measurements: Sequence[Reading]) -> list[str]:
    """Facts that no gate looks at: an alarm of one field is not heeded by the gate of another.

    Where a gate of the same metric fails, that says enough.
    """
    failed = {m.metric for gate in gates for m in gate.single if gate.verdict == "fail"}
    alarms = [reading for reading in measurements if reading.alarm and reading.metric not in failed]
    heeded = {(r.metric, r.alarm) for r in alarms if any(_heeds(gate, r) for gate in gates)}
    unheeded = dict.fromkeys((r.metric, r.alarm) for r in alarms if (r.metric, r.alarm) not in heeded)
    return [f"{sentence(alarm).removesuffix('.')} ({metric}; no gate judges it)" for metric, alarm in unheeded]


def _heeds(gate: GateReading, reading: Reading) -> bool:
    """Whether a gate reads this field and group, or its excess over the floor."""
    if gate.members:
        return any(_heeds(member, reading) for member in gate.members)
    fields = {reading.field, f"{reading.field}_excess"} | ({"excess"} if reading.headline else set())
    return gate.metric == reading.metric and gate.field in fields and gate.group in (None, reading.group)


def exit_code(record: Record) -> int:
    """What a pipeline sees: 0 pass, 1 fail, 3 inconclusive, 4 a metric crashed."""
    return EXIT[record.verdict]
