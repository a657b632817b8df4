"""Singling out, linkability and attribute inference against Anonymeter 1.1, in CPU-seconds of one thread.

``OMP_NUM_THREADS=1 python tests/benchmarks/bench_disclosure.py [--rows N] [--attacks N] [--rounds N]``;
run it where anonymeter can be imported (it pins numpy below 1.27), otherwise the peer is said to be missing.
Both attack the same census table as often. Ours is what the metric adds to an audit, with its intervals and
20 null draws; reading and encoding the table are timed apart, since all metrics share them.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from counterproof.config import Run
from counterproof.loading.load import take_in
from counterproof.measuring.measure import measure
from counterproof.measuring.workbench_setup import set_bench
from counterproof.metrics.leakage.attribute_inference import attribute_inference
from counterproof.metrics.leakage.linkability import linkability
from counterproof.metrics.leakage.singling_out import singling_out
from counterproof.metrics.metric import Metric
from counterproof.run import one_thread

CENSUS = Path(__file__).parents[2] / "audit" / "data" / "census"
Frames = dict[str, pd.DataFrame]
Rates = tuple[float, float]
Job = Callable[[], Rates]
METRICS: dict[str, tuple[Metric, str]] = {
    "singling out, both kinds": (singling_out, "multivariate"),
    "linkability, one split": (linkability, "given"),
    "attribute inference, 14 secrets": (attribute_inference, "income"),
}


def tables(rows: int, release: str) -> Frames:
    """Train, holdout and a release of the census."""
    files = {"train": "train", "holdout": "holdout", "synthetic": release}
    return {role: pd.read_parquet(CENSUS / f"{name}.parquet").iloc[:rows] for role, name in files.items()}


def ours(frames: Frames, attacks: int, name: str) -> Job:
    """One metric as an audit runs it: attacks, intervals and null draws on a table that is encoded."""
    metric, cell = METRICS[name]
    columns = list(frames["train"])
    options: dict[str, Any] = {"attacks": attacks}
    if metric is linkability:
        options["columns"] = [columns[::2], columns[1::2]]

    intake = take_in(dict(frames))

    def run() -> Rates:
        bench = set_bench(intake, Run())
        with one_thread():
            found = measure(metric, bench, metric.configure(options))
        rates = {m.field: m.estimate for m in found if m.group and m.group[0][1] == cell and m.estimate}
        return rates["attack"].value, rates["control"].value

    return run


def anonymeter(frames: Frames, attacks: int, name: str) -> Job:
    """The same attack by the peer's evaluators."""
    from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator

    ori, control, syn = frames["train"], frames["holdout"], frames["synthetic"]
    columns = list(ori)
    common: dict[str, Any] = {"ori": ori, "syn": syn, "control": control, "n_attacks": attacks}

    def single() -> Rates:
        for mode in ("univariate", "multivariate"):
            made = SinglingOutEvaluator(**common, n_cols=4, seed=0).evaluate(mode=mode)
        return _rates(made)

    def link() -> Rates:
        sides = (columns[::2], columns[1::2])
        return _rates(LinkabilityEvaluator(**common, aux_cols=sides, n_neighbors=1).evaluate(n_jobs=1))

    def infer() -> Rates:
        for secret in columns:
            others = [column for column in columns if column != secret]
            numeric = pd.api.types.is_numeric_dtype(ori[secret])
            made = InferenceEvaluator(**common, aux_cols=others, secret=secret, regression=numeric).evaluate(n_jobs=1)
        return _rates(made)

    return infer if name.startswith("attribute") else link if name.startswith("link") else single


def _rates(evaluated: Any) -> Rates:
    results = evaluated.results()
    return float(results.attack_rate.value), float(results.control_rate.value)


def timed(job: Job) -> tuple[float, Rates]:
    """CPU-seconds and the rates."""
    started = time.process_time()
    rates = job()
    return time.process_time() - started, rates


def rows_of(frames: Frames, attacks: int, rounds: int) -> list[str]:
    """The table, peer and ours in turn."""
    made = []
    for name in METRICS:
        jobs = {"ours": ours(frames, attacks, name)}
        try:
            jobs["peer"] = anonymeter(frames, attacks, name)
        except ImportError:
            print("anonymeter cannot be imported here", file=sys.stderr)
        spent: dict[str, list[float]] = {who: [] for who in jobs}
        rates: dict[str, Rates] = {}
        for turn in range(rounds):
            for who, job in jobs.items():
                seconds, rates[who] = timed(job)
                spent[who].append(seconds)
                print(f"{name}, round {turn}: {who} {seconds:.2f} s", file=sys.stderr)
        made.append(_row(name, spent, rates))
    return made


def _row(name: str, spent: dict[str, list[float]], rates: dict[str, Rates]) -> str:
    seconds = {who: median(found) for who, found in spent.items()}
    shown = {who: f"{attack:.3f} / {control:.3f}" for who, (attack, control) in rates.items()}
    peer = f"{seconds['peer']:.2f} | {seconds['peer'] / seconds['ours']:.1f} ×" if "peer" in seconds else "– | –"
    return f"| {name} | {seconds['ours']:.2f} | {peer} | {shown['ours']} | {shown.get('peer', '–')} |"


def main() -> None:
    """Print one Markdown section."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--attacks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--release", default="release_leaky")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round")
    given = parser.parse_args()
    if given.quick:
        given.rows, given.attacks, given.rounds = 300, 100, 1
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    frames = tables(given.rows, given.release)
    found = rows_of(frames, given.attacks, given.rounds)
    print("## Disclosure attacks against Anonymeter\n")
    print(f"`OMP_NUM_THREADS=1 python tests/benchmarks/bench_disclosure.py {' '.join(sys.argv[1:])}`\n")
    print(f"Census, {given.rows} rows a side, 14 columns, {given.attacks} attacks, {given.release}.\n")
    print("| attack | counterproof, CPU-s | Anonymeter 1.1, CPU-s | ratio | attack / control, ours | theirs |")
    print("|---|---|---|---|---|---|")
    print("\n".join(found))
    started = time.process_time()
    set_bench(take_in(dict(frames)), Run())
    print(f"\nReading and encoding, shared by all metrics of an audit: {time.process_time() - started:.2f} CPU-s.")
    print("Rates differ where the attacks do: other predicates, ties at random, guesses near by the column's spread.")


if __name__ == "__main__":
    main()
