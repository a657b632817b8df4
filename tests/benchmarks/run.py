"""Every benchmark beside this file, one after the other: ``python tests/benchmarks/run.py``.

Each ``bench_*.py`` prints one Markdown section. The sections, what machine they were taken on and
the command go to ``RESULTS.md``. Peers are imported from the interpreter given with ``--python``
(one that has clean-fid, torch-fidelity, torchmetrics, prdc, faiss-cpu, …); without them the
sections hold our own figures and say what could not be imported.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas")
PEAK = """
import time, numpy as np, torch
torch.set_num_threads(1)
one, other = torch.randn(1024, 2048), torch.randn(2048, 8192)
def peak(product, operations):
    product()
    return max(operations / timed(product) for _ in range(5)) / 1e9
def timed(product):
    start = time.process_time(); product(); return time.process_time() - start
work = 2 * 1024 * 2048 * 8192
print(f"torch float32 {peak(lambda: one @ other, work):.0f}", end=", ")
a, b = one.bfloat16(), other.bfloat16()
print(f"torch bfloat16 {peak(lambda: a @ b, work):.0f}", end=", ")
c, d = one[:512].double(), other.double()
print(f"torch float64 {peak(lambda: c @ d, work / 2):.0f}", end=", ")
e, f = one.numpy(), other.numpy()
print(f"numpy float32 {peak(lambda: e @ f, work):.0f}")
"""


def main() -> None:
    """Run what was asked for and write the results."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--python", default=sys.executable, help="the interpreter that has the peers")
    options.add_argument("--only", nargs="*", default=[], help="names of benchmarks, such as geometry")
    options.add_argument("--out", type=Path, default=RESULTS)
    options.add_argument("--quick", action="store_true", help="tiny sizes, to see that every script still runs")
    asked = options.parse_args()
    scripts = [s for s in sorted(HERE.glob("bench_*.py")) if not asked.only or s.stem[6:] in asked.only]
    if not scripts:
        options.error(f"no benchmark is called {', '.join(asked.only)}")
    held = _sections(asked.out) if asked.only else {}
    for script in scripts:
        print(f"{script.name} …", file=sys.stderr, flush=True)
        held[script.stem[6:]] = _section(asked.python, script, quick=asked.quick)
    asked.out.write_text("\n".join([_head(asked.python, quick=asked.quick), *_marked(held)]), encoding="utf-8")


def _section(python: str, script: Path, *, quick: bool) -> str:
    """What one script printed, or how it ended."""
    started = time.perf_counter()
    command = [python, str(script), *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=_environment())
    spent = time.perf_counter() - started
    text = done.stdout.strip() or f"## {script.stem[6:]}\n\nprinted nothing."
    if done.returncode:
        text += f"\n\n**It ended with exit code {done.returncode}.**"
    return f"{text}\n\n*{spent:.0f} s in all, {time.strftime('%Y-%m-%d')}.*"


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _head(python: str, *, quick: bool) -> str:
    """Which machine, which versions, which command."""
    peak = ""
    if not quick:
        measured = [python, "-c", PEAK]
        peak = subprocess.run(
            measured, stdout=subprocess.PIPE, text=True, check=False, env=_environment()
        ).stdout.strip()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    command = shlex.join(["python", *sys.argv])
    return (
        "# Benchmarks\n\n"
        f"Made by `{command}`. Peer and ours run in the same process, one after the other, medians of five unless a\n"
        "section says otherwise; CPU seconds of one thread, since the machine is shared.\n\n"
        f"* machine: {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}\n"
        f"* versions: {versions}\n"
        f"* matrix products on one core, GF a CPU second, best of five: {peak or 'not measured'}\n"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _marked(held: dict[str, str]) -> Iterator[str]:
    for name, text in sorted(held.items()):
        yield f"<!-- {name} -->\n{text}\n"


def _sections(path: Path) -> dict[str, str]:
    """The sections of earlier results, kept when only some benchmarks run again."""
    if not path.is_file():
        return {}
    held: dict[str, str] = {}
    for part in path.read_text(encoding="utf-8").split("<!-- ")[1:]:
        name, _, text = part.partition(" -->")
        held[name] = text.strip()
    return held


if __name__ == "__main__":
    main()
