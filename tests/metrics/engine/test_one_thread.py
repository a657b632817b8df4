"""Threads: an audit computes on one, and the program around gets back what it had, whoever leaves last."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import threadpool_info

from counterproof.metrics.engine.one_thread import one_thread, torch_on_one_thread


@pytest.fixture(autouse=True)
def two_torch_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def blas() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def seen_by_a_new_thread() -> int:
    found: list[int] = []
    other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    other.start()
    other.join()
    return found[0]


@pytest.mark.parametrize("first_out", ["first in", "last in"])
def test_two_audits_in_two_threads_leave_the_process_as_it_was(first_out: str) -> None:
    pools = blas()
    entered = {name: threading.Event() for name in ("first in", "last in")}
    leave = {name: threading.Event() for name in entered}
    inside: dict[str, int] = {}
    after: dict[str, int] = {}

    def audit(name: str) -> None:
        with one_thread():
            entered[name].set()
            leave[name].wait(30)
            inside[name] = torch.get_num_threads()
        after[name] = torch.get_num_threads()

    threads = {name: threading.Thread(target=audit, args=(name,)) for name in entered}
    for name, thread in threads.items():
        thread.start()
        assert entered[name].wait(30)
    assert set(blas()) <= {1}
    still: dict[str, list[int]] = {}
    order = sorted(threads, key=lambda name: name != first_out)
    for name in order:
        leave[name].set()
        threads[name].join()
        still[name] = blas()
    assert inside == {"first in": 1, "last in": 1}
    assert after == {"first in": 2, "last in": 2}
    assert torch.get_num_threads() == 2
    assert seen_by_a_new_thread() == 2
    assert set(still[order[0]]) <= {1}  # the other is still inside
    assert still[order[1]] == pools


def test_inside_is_one_however_deep_and_an_error_restores_it() -> None:
    def fails() -> None:
        with torch_on_one_thread():
            with torch_on_one_thread():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fails()
    assert torch.get_num_threads() == 2
