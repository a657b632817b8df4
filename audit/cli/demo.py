"""The demo: releases of census data by real generators, audited and summarised in plain words."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.resources import as_file, files
from pathlib import Path

from counterproof.cli.output import check_writable, write_all
from counterproof.refusal import Refusal
from counterproof.reports.record import Record

RELEASES = ("release_argn", "release_tvae3")
GENERATORS = {
    "release_argn": "TabularARGN, the best of five generators",
    "release_copula": "a Gaussian copula",
    "release_ctgan": "CTGAN",
    "release_leaky": "TabularARGN with 250 training rows planted in it",
    "release_tvae3": "TVAE, stopped after 3 epochs",
}


def run_demo(out: Path, releases: Sequence[str]) -> None:
    """Audit each release in its own process and print the results.

    Raises:
        Refusal: No such release, or the folder cannot be written.
    """
    for name in releases:
        if name not in GENERATORS:
            raise Refusal(f"no release {name!r} ships with counterproof; there are {', '.join(GENERATORS)}")
    check_writable(out)
    started = time.perf_counter()
    print(f"Auditing {len(releases)} releases of census data (5,000 rows each) against real rows …", flush=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=min(2, len(releases)), mp_context=context) as pool:
        try:
            for name, record in zip(releases, pool.map(audit_release, releases), strict=True):
                paths = write_all(record, out / name)
                print("\n".join(summary_lines(name, record, paths["report.html"])), flush=True)
        except BaseException:
            for child in multiprocessing.active_children():  # else the pool waits for their audits to end
                child.terminate()
            raise
    print(f"\nDone in {time.perf_counter() - started:.0f} s.", file=sys.stderr)


def audit_release(name: str) -> Record:
    """One audit of shipped data."""
    from counterproof.run import audit

    with as_file(files("counterproof") / "data" / "census") as folder:
        return audit(
            train=folder / "train.parquet",
            holdout=folder / "holdout.parquet",
            test=folder / "test.parquet",
            synthetic=folder / f"{name}.parquet",
            label="income",
            groups=["sex", "race"],
        )


def summary_lines(name: str, record: Record, report: Path) -> list[str]:
    """The results of one audit, as ``counterproof run`` tells them."""
    from counterproof.reports.outputs.terminal import plain_lines

    return [f"\n{name}: {GENERATORS[name]}", *plain_lines(record), f"report: {report}"]
