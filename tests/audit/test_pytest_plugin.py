from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.readings import manifest, reading

from counterproof.judging.grammar import parse_gate
from counterproof.judging.verdict import judged
from counterproof.pytest_plugin import digest
from counterproof.reports.model import Reading
from counterproof.reports.record import Record

pytest_plugins = ["pytester"]
METRIC = "fidelity.precision"
STUB = """
import sys, types
from pathlib import Path
from counterproof.reports.record import Record
from counterproof.refusal import Refusal

calls = []
def audit(**options):
    calls.append(options)
    return Record.read(Path(__file__).with_name("record.json"))
def audit_config(path):
    if "refused" in Path(path).read_text():
        raise Refusal("train.csv: no such file")
    return audit(path=path)
run = types.ModuleType("counterproof.run")
run.audit, run.audit_config, run.calls = audit, audit_config, calls
sys.modules["counterproof.run"] = run
"""
Stub = Callable[..., pytest.Pytester]


@pytest.fixture
def house(pytester: pytest.Pytester) -> Stub:
    """A project whose audits give a record that is at hand."""

    def make(*measured: Reading, fail: tuple[str, ...] = (), warn: tuple[str, ...] = ()) -> pytest.Pytester:
        gates = [parse_gate(text, known={METRIC}) for text in fail]
        gates += [parse_gate(text, known={METRIC}, level="warn") for text in warn]
        record: Record = judged(gates=gates, measurements=measured, manifest=manifest("real", "synthetic"))
        pytester.makeconftest(STUB)
        pytester.makefile(".json", record=record.to_json())
        pytester.makefile(".toml", audit=f"[gates]\nfail = {list(fail)}\nwarn = {list(warn)}\n")
        return pytester

    return make


def good(**more: object) -> Reading:
    return reading(METRIC, 0.05, title="precision", **more)


def test_a_comparison_judges_the_interval(house: Stub) -> None:
    project = house(good())
    project.makepyfile(f"""
        def test_passes(audit):
            assert audit(synthetic="a")["{METRIC}"] <= 0.1
        def test_fails(audit):
            assert audit(synthetic="a")["{METRIC}"] <= 0.01
        def test_fails_mirrored(audit):
            assert 0.01 >= audit(synthetic="a")["{METRIC}"]
        def test_stays_open(audit):
            assert audit(synthetic="a")["{METRIC}"] <= 0.055
        def test_stays_open_though_negated(audit):
            assert not (audit(synthetic="a")["{METRIC}"] <= 0.055)
    """)
    result = project.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=4)
    result.stdout.fnmatch_lines(
        [
            f"E*{METRIC}: 0.05 [[]0.0304, 0.0696[]] <= 0.01: FAIL (n=2000)",
            f"E*{METRIC}: 0.05 [[]0.0304, 0.0696[]] <= 0.01: FAIL (n=2000)",
            f"E*AssertionError: {METRIC}: 0.05 [[]0.0304, 0.0696[]] <= 0.055: INCONCLUSIVE (n=2000, about * needed)",
            f"E*AssertionError: {METRIC}: 0.05 [[]0.0304, 0.0696[]] <= 0.055: INCONCLUSIVE (n=2000, about * needed)",
        ]
    )


def test_the_same_audit_runs_once_a_session(house: Stub) -> None:
    project = house(good())
    project.makepyfile("""
        import sys
        import pandas as pd
        def test_twice(audit):
            assert audit(synthetic=pd.DataFrame({"a": [1]})) is audit(synthetic=pd.DataFrame({"a": [1]}))
        def test_in_another_test(audit):
            audit(synthetic=pd.DataFrame({"a": [1]}))
            audit(synthetic=pd.DataFrame({"a": [2]}))
            assert len(sys.modules["counterproof.run"].calls) == 2
    """)
    project.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_each_gate_of_a_configuration_is_a_test(house: Stub) -> None:
    project = house(
        good(),
        reading(METRIC, None, field="state", status="not_applicable", reason="no label was given"),
        fail=(f"{METRIC} <= 0.1", f"{METRIC} <= 0.01", f"{METRIC} <= 0.055", f"{METRIC}.state <= 1"),
        warn=(f"{METRIC} <= 0.02",),
    )
    result = project.runpytest("-p", "no:cacheprovider", "-rs", "audit.toml")
    result.assert_outcomes(passed=2, failed=2, skipped=1, warnings=1)
    result.stdout.fnmatch_lines(
        [
            f"{METRIC} <= 0.01: FAIL, Precision: 0.0500 [[]0.0304, 0.0696[]]; the limit is 0.01",
            f"{METRIC} <= 0.055: INCONCLUSIVE, Precision: 0.0500 *; but these data leave 0.0664 possible*",
            f"*audit.toml:3: AuditWarning: {METRIC} <= 0.02: FAIL*",
            "SKIPPED*no label was given",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_an_audit_without_a_gate_is_not_green(house: Stub) -> None:
    result = house(good()).runpytest("-p", "no:cacheprovider", "audit.toml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["verdict: INCONCLUSIVE, Nothing was required: there is no gate that could fail."])


def test_refused_data_end_in_one_sentence(house: Stub) -> None:
    project = house(good())
    project.makefile(".toml", other="# refused\n")
    result = project.runpytest("-p", "no:cacheprovider", "other.toml")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["train.csv: no such file"])
    assert "Traceback" not in result.stdout.str()


def test_a_configuration_runs_only_when_it_is_named(house: Stub) -> None:
    project = house(good(), fail=(f"{METRIC} <= 0.1",))
    assert project.runpytest("-p", "no:cacheprovider").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_control_characters_of_the_data_stay_out_of_the_terminal(house: Stub) -> None:
    project = house(good(alarm="\x1b[32mall is well\x1b[0m"), fail=(f"{METRIC} <= 0.1",))
    result = project.runpytest("-p", "no:cacheprovider", "--color=no", "audit.toml")
    result.assert_outcomes(failed=1)
    assert "\x1b" not in result.stdout.str()


def test_the_plugin_costs_a_session_without_audits_nothing() -> None:
    told = "import sys, counterproof.pytest_plugin; print([m for m in sys.modules if m.startswith('counterproof.')])"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['counterproof.pytest_plugin']"


def test_contents_tell_calls_apart() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    same = digest({"train": frame.copy(), "seed": 1})
    assert digest({"seed": 1, "train": frame}) == same
    others = [
        {"train": frame.assign(a=[1, 3]), "seed": 1},
        {"train": frame.rename(columns={"a": "c"}), "seed": 1},
        {"holdout": frame, "seed": 1},
        {"train": frame, "seed": True},
        {"train": frame.iloc[::-1], "seed": 1},
        {"train": np.zeros((2, 2)), "seed": 1},
        {"train": np.zeros((4, 1)), "seed": 1},
        {"train": (np.zeros((2, 2)), frame), "seed": 1},
        {"train": object(), "seed": 1},
    ]
    assert len({digest(options) for options in others} | {same}) == len(others) + 1


def test_a_changed_file_is_another_call(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a\n1\n")
    before = digest({"train": file})
    assert digest({"train": file}) == before
    file.write_text("a\n1\n2\n")
    assert digest({"train": file}) != before
