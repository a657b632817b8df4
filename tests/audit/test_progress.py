"""Where an audit tells how far it has come: how much is left, and a line every half minute."""

from __future__ import annotations

import io
import re

import pytest

from counterproof import progress
from counterproof.progress import Bars, Lines, Pace, Silent, left


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress.time, "perf_counter", made)
    return made


@pytest.mark.parametrize(
    ("done", "total", "seconds", "told"),
    [
        (0, 41, 0.0, "0 of 41"),
        (0, 41, 300.0, "0 of 41"),
        (12, 41, 8.3, "12 of 41, about 20 s left"),
        (12, 41, 24.0, "12 of 41, about 1 min left"),
        (1, 41, 30.0, "1 of 41, about 20 min left"),
        (40, 41, 0.0, "40 of 41, about 1 s left"),
        (41, 41, 99.0, "41 of 41"),
        (42, 41, 99.0, "42 of 41"),
        (0, 0, 0.0, "0 of 0"),
    ],
)
def test_what_is_left_is_told_by_the_pace_so_far(done: int, total: int, seconds: float, told: str) -> None:
    assert left(done, total, seconds) == told


def test_a_log_gets_a_line_every_half_minute_and_none_before(clock: Clock) -> None:
    out = io.StringIO()
    lines = Lines(4, out)
    for seconds in (10, 10, 15, 10):
        with lines.stage("fidelity.precision"):
            clock.now += seconds
    assert out.getvalue() == "3 of 4, about 12 s left\n"


def test_a_stage_that_counts_tells_its_pace_without_what_a_cache_gave_at_once(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "Pace", lambda: Pace(clock))
    out = io.StringIO()
    with Lines(2, out).stage("embedding") as tell:
        tell("images", 500, 2000)
        clock.now += 40
        tell("images", 700, 2000)
        clock.now += 10
        tell("images", 900, 2000)
    assert out.getvalue() == "images: 700 of 2000, 5.0 a second\n"


def test_a_remark_is_a_line_at_once(clock: Clock) -> None:
    out = io.StringIO()
    Lines(2, out).remark("the cache could not be written")
    assert out.getvalue() == "the cache could not be written\n"


def test_a_short_audit_tells_a_log_nothing(clock: Clock) -> None:
    out = io.StringIO()
    lines = Lines(2, out)
    for name in ("reading and encoding", "fidelity.precision"):
        with lines.stage(name) as tell:
            clock.now += 5
            tell("rows", 1, 2)
    assert out.getvalue() == ""


def test_a_pace_counts_from_what_was_told_first(clock: Clock) -> None:
    pace = Pace(clock)
    assert pace.at(500) == 0.0
    assert pace.at(600) == 0.0, "no time has passed"
    clock.now = 10
    assert pace.at(600) == 10.0


def test_a_terminal_gets_one_line_that_goes_away(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Bars(2) as bars:
        for name in ("reading [bold]and[/bold] encoding", "fidelity.precision"):
            with bars.stage(name) as tell:
                clock.now += 7
                tell("rows", 1, 2)
        bars.remark("the [red]cache[/red] could not be written")
    told = capsys.readouterr()
    assert told.out == "", "what a pipe reads is the verdict alone"
    assert "the [red]cache[/red] could not be written" in told.err
    assert not re.search(r"\x1b\[31m", told.err)


def test_silence_tells_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Silent().stage("fidelity.precision") as tell:
        tell("rows", 1, 2)
    Silent().remark("x")
    assert capsys.readouterr() == ("", "")
