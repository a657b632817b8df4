"""One thread for products and sums, whatever the program around has, which gets back what it had."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

BUFFERS = 128 * 2**20  # what two copies of OpenBLAS take, and some to spare
_LOCK = threading.Lock()


class _Inside(threading.local):
    """How deep this thread stands inside :func:`torch_on_one_thread`."""

    depth = 0


class _Program:
    """What the program had before the first of its threads came in."""

    torch_threads = 1
    in_torch = 0
    in_blas = 0
    blas: Any = None


_HERE, _PROGRAM = _Inside(), _Program()


@contextmanager
def torch_on_one_thread() -> Iterator[None]:
    """Sums in the same order, however many threads the program has.

    torch keeps one number for the process, which threads that are new to it take over, and one for each
    thread. A thread that comes in while another is inside therefore sees 1 and must not restore that: all of
    them restore what the first one found.
    """
    import torch

    if _HERE.depth:
        _HERE.depth += 1
        try:
            yield
        finally:
            _HERE.depth -= 1
        return
    with _LOCK:
        found = torch.get_num_threads()  # also makes this thread known to torch, which else takes over a later number
        if not _PROGRAM.in_torch:
            _PROGRAM.torch_threads = found
        _PROGRAM.in_torch += 1
        torch.set_num_threads(1)
    _HERE.depth = 1
    try:
        yield
    finally:
        _HERE.depth = 0
        with _LOCK:
            _PROGRAM.in_torch -= 1
            torch.set_num_threads(_PROGRAM.torch_threads)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for BLAS, OpenMP and torch: more of them fight over cores and change last digits.

    The number of OpenMP belongs to a thread, that of BLAS to the process: the last one out restores it.
    """
    from threadpoolctl import ThreadpoolController

    # one controller for each: what a limit restores is all that its controller knows
    openmp, blas = (ThreadpoolController().select(user_api=name) for name in ("openmp", "blas"))
    # torch comes first and goes last: it shares its pool with OpenMP, and a new thread has torch's number once asked
    with torch_on_one_thread(), openmp.limit(limits=1):
        with _LOCK:
            if not _PROGRAM.in_blas:
                _PROGRAM.blas = blas.limit(limits=1)
            _PROGRAM.in_blas += 1
        try:
            _take_buffers()
            yield
        finally:
            with _LOCK:
                _PROGRAM.in_blas -= 1
                if not _PROGRAM.in_blas:
                    _PROGRAM.blas.restore_original_limits()


@cache
def _take_buffers() -> None:
    """Let BLAS take the memory that it multiplies in now, while there is some.

    OpenBLAS takes it at its first large product, and where it gets none it asks again without end. numpy and scipy
    bring one each.

    Raises:
        MemoryError: There is not that much.
    """
    import numpy as np
    from scipy.linalg.blas import dgemm

    np.empty(BUFFERS, dtype=np.uint8)  # raises where OpenBLAS would not return
    square = np.ones((256, 256))
    dgemm(1.0, square, square @ square)
