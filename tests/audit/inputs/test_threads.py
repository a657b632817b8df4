"""Work in threads: results in order, memory bounded, trouble told once and nothing hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from counterproof.inputs.threads import AHEAD, cores, results_in_order


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_order_whoever_is_first(workers: int) -> None:
    def slow_if_even(x: int) -> int:
        time.sleep(0.002 * (x % 2 == 0))
        return x * x

    assert list(results_in_order(slow_if_even, range(40), workers=workers)) == [x * x for x in range(40)]
    assert list(results_in_order(slow_if_even, [], workers=workers)) == []


def test_no_more_is_taken_than_the_threads_can_hold() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while taken < 1000:
            taken += 1
            yield taken

    for count, _ in enumerate(results_in_order(lambda x: x, items(), workers=3)):
        assert taken - count <= 3 * AHEAD
        if count > 100:
            break
    assert taken <= 102 + 3 * AHEAD


def test_items_are_taken_in_the_callers_thread_and_worked_on_in_others() -> None:
    here = threading.get_ident()
    takers, workers = set(), set()

    def items() -> Iterator[int]:
        for x in range(10):
            takers.add(threading.get_ident())
            if x % 2 == 0:
                yield x

    list(results_in_order(lambda x: workers.add(threading.get_ident()), items(), workers=2))
    assert takers == {here}
    assert here not in workers


@pytest.mark.parametrize("trouble", [ValueError, MemoryError, KeyError])
def test_trouble_is_raised_in_its_place_and_ends_the_work(trouble: type[Exception]) -> None:
    begun: list[int] = []

    def work(x: int) -> int:
        begun.append(x)
        if x == 5:
            raise trouble("five")
        return x

    made: list[int] = []
    with pytest.raises(trouble, match="five"):
        made.extend(results_in_order(work, range(1000), workers=2))
    assert made == [0, 1, 2, 3, 4]
    assert len(begun) < 20


def test_there_is_a_core() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


INTERRUPTED = """
import time, torch, numpy as np
from torch import nn
from counterproof.loading.load import take_in

class Slow(nn.Module):
    def forward(self, x):
        print("begun\\n", end="", flush=True)  # one write: two threads begin at once
        time.sleep(0.2)
        return x.flatten(1)[:, :2]

images = np.zeros((4000, 8, 8, 3), np.uint8)
images[:, 0, 0, 0] = np.arange(4000) % 251
try:
    take_in({"real": images[:2000], "synthetic": images[2000:]}, encoder=Slow(), cache=None)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_an_interrupt_ends_promptly(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background run of the tests ignores it
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        child.send_signal(signal.SIGINT)
        started = time.monotonic()
        out, _ = child.communicate(timeout=30)
        assert time.monotonic() - started < 10
    assert out.splitlines()[-1] in ("interrupted", "begun")
    assert "interrupted" in out
    assert child.returncode == 0
