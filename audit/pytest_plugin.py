"""Release gates in pytest: the fixture ``audit``, and ``pytest audit.toml``.

The fixture audits once per session and input, and its comparisons judge intervals::

    def test_release(audit):
        record = audit(train="train.csv", holdout="holdout.csv", synthetic="release.csv")
        assert record["fidelity.kernel_distance.excess"] <= 0.15

``pytest audit.toml`` runs that audit once and collects each of its gates as a test. Nothing is
imported before it is used: the plugin costs a session without audits nothing.
"""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from counterproof.reports.model import GateReading
    from counterproof.reports.record import Record


FLIPPED = {"<=": ">=", "<": ">", ">=": "<=", ">": "<"}


class AuditWarning(UserWarning):
    """A gate of level ``warn`` did not pass."""


class NotPassed(Exception):
    """A gate did not pass; the message is why."""


@pytest.fixture(scope="session")
def audit() -> Callable[..., Record]:
    """``counterproof.audit``, each distinct call computed once in a session."""
    done: dict[str, tuple[dict[str, Any], Record]] = {}  # options are kept: a model is known by its id

    def run(**options: Any) -> Record:
        from counterproof.run import audit as compute

        key = digest(options)
        if key not in done:
            done[key] = options, compute(**options)
        return done[key][1]

    return run


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """What a failed comparison of a reading says: the reading with interval, limit and verdict."""
    module = sys.modules.get("counterproof.reports.model")
    if module is None or op not in FLIPPED:
        return None
    if isinstance(right, module.Reading):
        left, op, right = right, FLIPPED[op], left
    if not isinstance(left, module.Reading) or not isinstance(right, (int, float)):
        return None
    compared = {"<=": left.__le__, "<": left.__lt__, ">=": left.__ge__, ">": left.__gt__}[op](right)
    return [compared.sentence]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> AuditFile | None:
    """Collect an ``audit.toml``, though only when it is named: an audit takes its time."""
    if file_path.suffix != ".toml" or not parent.session.isinitpath(file_path):
        return None
    return AuditFile.from_parent(parent, path=file_path)


class AuditFile(pytest.File):
    """The configuration of an audit; its gates are the tests."""

    def collect(self) -> Iterator[pytest.Item]:
        """Run the audit and yield a test for each gate.

        What the gates leave open is a test too, so that no audit that did not pass is green.

        Raises:
            CollectError: The audit was refused.
        """
        from counterproof.refusal import Refusal
        from counterproof.run import audit_config

        try:
            record = audit_config(self.path)
        except Refusal as error:
            raise self.CollectError(str(error)) from None
        for gate in record.gates:
            yield GateItem.from_parent(self, name=printable(gate.expression), gate=gate)
        if record.verdict != "pass" and not any(blocks(gate) for gate in record.gates):
            yield VerdictItem.from_parent(self, name="verdict", record=record)


class AuditItem(pytest.Item):
    """A test whose failure is one sentence, without a traceback."""

    line = 0

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The sentence."""
        if isinstance(excinfo.value, NotPassed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style=style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The configuration and the gate."""
        return self.path, self.line, self.name


class GateItem(AuditItem):
    """One gate as a test."""

    def __init__(self, *, gate: GateReading, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gate = gate
        text = self.path.read_text(encoding="utf-8")  # a gate of the policy stands nowhere: line 0
        self.line = next((i for i, line in enumerate(text.splitlines()) if (gate.name or gate.expression) in line), 0)

    def runtest(self) -> None:
        """Pass, skip, warn or fail as the gate was judged.

        Raises:
            NotPassed: The gate failed, crashed or is inconclusive.
        """
        gate = self.gate
        told = printable(f"{gate.expression}: {gate.verdict.upper()}, {gate.why}")
        if gate.verdict in ("undecided", "not_applicable"):
            pytest.skip(printable(gate.why))
        if blocks(gate):
            raise NotPassed(told)
        if gate.verdict != "pass":
            with warnings.catch_warnings():  # it stays a warning where warnings are errors
                warnings.simplefilter("always", AuditWarning)
                warnings.warn_explicit(AuditWarning(told), AuditWarning, str(self.path), self.line + 1)


class VerdictItem(AuditItem):
    """The verdict of the whole, where no gate stands for it."""

    def __init__(self, *, record: Record, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.record = record

    def runtest(self) -> None:
        """Fail with the sentence behind the verdict.

        Raises:
            NotPassed: Always.
        """
        raise NotPassed(printable(f"verdict: {self.record.verdict.upper()}, {self.record.because}"))


def blocks(gate: GateReading) -> bool:
    """Whether a gate stands in the way of a PASS."""
    return gate.level == "fail" and gate.verdict not in ("pass", "undecided", "not_applicable")


def printable(text: str) -> str:
    """Text from data, without the control characters that could drive a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def digest(value: Any) -> str:
    """What tells one call of the fixture from another: contents of frames, state of files."""
    total = hashlib.blake2b(digest_size=16)
    for part in _parts(value):
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    kind = type(value).__name__
    if isinstance(value, dict):
        yield from (part for key in sorted(value, key=str) for part in (str(key).encode(), *_parts(value[key])))
    elif isinstance(value, (list, tuple)):
        yield b"of %d" % len(value)
        yield from (part for item in value for part in _parts(item))
    elif kind == "DataFrame":
        from pandas.util import hash_pandas_object

        yield repr([(str(name), str(dtype)) for name, dtype in value.dtypes.items()]).encode()
        yield hash_pandas_object(value, index=False).to_numpy().tobytes()
    elif kind == "ndarray":
        yield repr((value.shape, str(value.dtype))).encode()
        yield value.tobytes()
    elif isinstance(value, (str, os.PathLike)):
        yield from _named(os.fspath(value))
    elif value is None or isinstance(value, (bool, int, float)):
        yield repr(value).encode()
    else:  # a model
        yield f"{kind} {id(value)}".encode()


def _named(name: str) -> Iterator[bytes]:
    """A text, and the files behind it if it is a path."""
    yield name.encode(errors="surrogateescape")
    path = Path(name)
    try:
        files = sorted(path.rglob("*")) if path.is_dir() else [path] if path.is_file() else []
    except OSError:
        return
    for file in files:
        if file.is_file():
            stat = file.stat()
            yield f"{file} {stat.st_size} {stat.st_mtime_ns}".encode(errors="surrogateescape")
