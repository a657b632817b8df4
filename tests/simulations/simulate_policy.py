"""The default policy on fresh real rows: how often it passes, fails, or cannot tell.

Every draw deals real rows anew into train, holdout, test and a "release" of fresh real rows, and
runs the whole audit. A good policy says PASS; where the rows are too few INCONCLUSIVE is right, FAIL never is.

    python tests/simulations/simulate_policy.py --tables all --n 1000,3000 --draws 10 --results policy.jsonl
    python tests/simulations/simulate_policy.py --table census --n 5000 --draws 100
    python tests/simulations/simulate_policy.py --images tests/data/fashion --n 2000 --draws 40

Tables: those of ``tables.py``, by name, or a CSV with ``--label`` and ``--groups``; images: a ``.npz`` with
``images`` and ``labels``. Every audit is appended to the results file as one line of JSON, with the last commit of
the product; a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from simulations.tables import SEED, TABLES, Table, deal, frame_of

Line = dict[str, Any]
BLOCKING = ("fail", "error", "inconclusive")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One audit of a simulation: the table, the size asked for and the rows there are, the draw, and what is asked."""

    table: str
    size: int
    rows: int
    draw: int
    flaw: str = ""
    metrics: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from other cases."""
        return tuple(asdict(self).values())


def audited(case: Case, **audit_options: Any) -> Line:
    """The audit of one case as one line: verdicts, what every gate says that does not pass, and seconds.

    A refusal is told as verdict ``refused``, anything unforeseen as ``crash``.
    """
    from counterproof import audit
    from counterproof.refusal import Refusal

    wall, cpu = time.perf_counter(), time.process_time()
    line: Line = asdict(case)
    try:
        metrics = tuple(filter(None, case.metrics.split(",")))
        record = audit(**audit_options, metrics=metrics, seed=case.draw)
    except Refusal as error:
        line |= {"verdict": "refused", "because": str(error), "families": {}, "gates": []}
    except Exception as error:
        line |= {"verdict": "crash", "because": f"{type(error).__name__}: {error}", "families": {}, "gates": []}
    else:
        line |= {
            "verdict": record.verdict,
            "because": record.because,
            "families": {name: family.verdict for name, family in record.families.items()},
            "gates": [
                {
                    "gate": gate.expression,
                    "family": gate.family,
                    "level": gate.level,
                    "verdict": gate.verdict,
                    "n_needed": gate.n_needed,
                    "why": "" if gate.verdict == "pass" else gate.why,
                }
                for gate in record.gates
            ],
            "errors": [f"{r.metric}.{r.field}: {r.reason}" for r in record.measurements if r.status == "error"],
        }
    return line | {"cpu": round(time.process_time() - cpu, 1), "wall": round(time.perf_counter() - wall, 1)}


def table_draw(case: Case, table: Table) -> Line:
    """One audit of fresh rows."""
    roles = deal(frame_of(table), n=case.rows, draw=case.draw)
    return audited(case, **roles, label=table.label, groups=table.groups)


def image_draw(case: Case, path: str) -> Line:
    """One audit of fresh images; features of the whole pool are encoded once and dealt."""
    with np.load(path, allow_pickle=False) as stored:
        features, labels = stored["features"], stored["labels"]
    order = np.random.default_rng([SEED, case.draw]).permutation(len(features))
    parts = [order[i * case.rows : (i + 1) * case.rows] for i in range(3)]
    roles = {
        role: (features[part], pd.DataFrame({"label": labels[part]}))
        for role, part in zip(("train", "holdout", "synthetic"), parts, strict=True)
    }
    return audited(case, **roles, label="label")


def encode_pool(path: Path, out: Path) -> None:
    """Encode a pool of images once: ``images`` (n, h, w) and ``labels`` to ``features``."""
    from counterproof.loading.load import take_in

    with np.load(path, allow_pickle=False) as stored:
        images, labels = stored["images"], stored["labels"]
    with tempfile.TemporaryDirectory() as folder:
        halves = [Path(folder) / "real.npz", Path(folder) / "synthetic.npz"]
        np.savez(halves[0], images=images[::2])
        np.savez(halves[1], images=images[1::2])
        intake = take_in({"real": halves[0], "synthetic": halves[1]})
    features = np.empty((len(images), intake.corpus.features.shape[1]), dtype=np.float32)
    features[::2], features[1::2] = (intake.corpus.features[intake.roles[role]] for role in ("real", "synthetic"))
    np.savez(out, features=features, labels=labels.astype(str))


# -- runs that can be stopped and go on ---------------------------------------------------------------


def product_commit() -> str:
    """The last commit that changed the product: results of one product stand together."""
    root = Path(__file__).parents[2]
    asked = ["git", "-C", str(root), "log", "-1", "--format=%h", "--", "audit", "metrics", "reports"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def read_lines(path: Path) -> list[Line]:
    """The finished lines of a results file; a line that was cut off while it was written is left out."""
    if not path.exists():
        return []
    whole = [text for text in path.read_text().splitlines(keepends=True) if text.endswith("\n")]
    return [json.loads(text) for text in whole]


def key_of(line: Line) -> tuple[Any, ...]:
    """The key of the case of a line."""
    return tuple(line[name] for name in Case.__dataclass_fields__)


def run_cases(
    cases: Iterable[tuple[Case, Callable[[Case], Line]]], *, results: Path, workers: int, commit: str
) -> list[Line]:
    """Run the cases that the results file lacks, append each, and give back all lines of these cases."""
    wanted = {case.key: (case, work) for case, work in cases}
    done = {key: line for line in read_lines(results) if line["commit"] == commit and (key := key_of(line)) in wanted}
    context = multiprocessing.get_context("spawn")
    os.environ.setdefault("COUNTERPROOF_CACHE", tempfile.mkdtemp())
    with ProcessPoolExecutor(workers, mp_context=context) as pool, results.open("a") as out:
        left = [pool.submit(work, case) for key, (case, work) in wanted.items() if key not in done]
        for finished in as_completed(left):
            line = finished.result() | {"commit": commit}
            out.write(json.dumps(line) + "\n")
            out.flush()
            done[key_of(line)] = line
            told = [f"{gate['gate']}: {gate['verdict']}" for gate in blocking(line)]
            told = told or ([line["because"]] if line["verdict"] in ("refused", "crash") else [])
            where = [line["table"], line["rows"], line["flaw"], f"draw {line['draw']}"]
            print(len(done), *where, line["verdict"].upper(), f"{line['cpu']:.0f} s", *told, sep="  ", flush=True)
    return [done[key] for key in wanted]


def blocking(line: Line) -> list[dict[str, Any]]:
    """The gates that keep an audit from passing; a question of which no gate can be decided counts as one."""
    gates = [gate for gate in line["gates"] if gate["level"] == "fail" and gate["verdict"] in BLOCKING]
    told = {gate["family"] for gate in gates}
    mute = [name for name, v in line["families"].items() if v in BLOCKING and name not in told]
    return gates + [{"gate": f"{name}: nothing decidable", "verdict": line["families"][name]} for name in mute]


# -- tables of results ------------------------------------------------------------------------------


def tell_gates(lines: Sequence[Line]) -> None:
    """Print the verdicts of every gate; ``few`` are those that these real rows are too few to decide."""
    print(f"\n{'gate':<72} pass  few incl fail  n/a  err")
    by_line = [{gate["gate"]: gate["verdict"] for gate in line["gates"]} for line in lines]
    for name in dict.fromkeys(name for gates in by_line for name in gates):
        seen = Counter(gates.get(name, "not_applicable") for gates in by_line)
        cells = (seen[v] for v in ("pass", "undecided", "inconclusive", "fail", "not_applicable", "error"))
        print(f"{name:<72} " + " ".join(f"{k:>4}" for k in cells))


def tell_tables(lines: Sequence[Line]) -> None:
    """Print a line for every table and size, the gates that kept it from passing, and the sums a size."""
    print(f"\n{'table':<14} {'rows':>5} pass incl fail other  CPU s  not passed (failed + inconclusive)")
    for (name, rows), part in _grouped(lines, "table", "rows"):
        _tell(str(name), str(rows), part)
    for (size,), part in _grouped(lines, "size"):
        _tell("all", f"~{size}", part)


def _tell(name: str, rows: str, lines: Sequence[Line]) -> None:
    seen = Counter(line["verdict"] for line in lines)
    other = len(lines) - sum(seen[v] for v in ("pass", "inconclusive", "fail"))
    kept = Counter((gate["gate"], gate["verdict"]) for line in lines for gate in blocking(line))
    gates = sorted({gate for gate, _ in kept}, key=lambda gate: -sum(kept[gate, v] for v in BLOCKING))
    why = "; ".join(f"{gate} ({kept[gate, 'fail']}+{kept[gate, 'inconclusive']})" for gate in gates)
    numbers = " ".join(f"{k:>4}" for k in (seen["pass"], seen["inconclusive"], seen["fail"], other))
    print(f"{name:<14} {rows:>5} {numbers}  {np.median([line['cpu'] for line in lines]):>6.0f}  {why}", flush=True)


def _grouped(lines: Sequence[Line], *names: str) -> list[tuple[tuple[Any, ...], list[Line]]]:
    keys = dict.fromkeys(tuple(line[name] for name in names) for line in lines)
    return [(key, [line for line in lines if tuple(line[name] for name in names) == key]) for key in keys]


def chosen_tables(names: str) -> list[Table]:
    """The tables of a list of names, or all."""
    asked = list(TABLES) if names == "all" else names.split(",")
    unknown = [name for name in asked if name not in TABLES]
    if unknown:
        raise SystemExit(f"no table is called {unknown[0]!r}; there are {', '.join(TABLES)}")
    return [TABLES[name] for name in asked]


def as_asked(size: int) -> int:
    """Rows a role of data that know no other sizes."""
    return size


def main() -> None:
    """Read options, run the draws, print the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tables", help="all, or names of tables.py with commas between")
    options.add_argument("--table", default="census", help="census, or a CSV")
    options.add_argument("--images")
    options.add_argument("--label", default="income")
    options.add_argument("--groups", default="sex,race")
    options.add_argument("--n", default="5000", help="rows a role; several with commas between")
    options.add_argument("--draws", default="100", help="draws of each size; one number, or as many as sizes")
    options.add_argument("--first", type=int, default=0)
    options.add_argument("--metrics", default="", help="families or metrics, all by default")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "simulate_policy.jsonl")
    chosen = options.parse_args()
    sizes = [int(n) for n in chosen.n.split(",")]
    draws = [int(k) for k in chosen.draws.split(",")]
    draws = draws * len(sizes) if len(draws) == 1 else draws
    cases: list[tuple[Case, Callable[[Case], Line]]] = []
    tables: list[tuple[str, Callable[[int], int | None], Callable[[Case], Line]]]
    if chosen.images:
        pool = Path(tempfile.mkdtemp()) / "features.npz"
        encode_pool(Path(chosen.images), pool)
        tables = [(chosen.images, as_asked, partial(image_draw, path=str(pool)))]
    elif chosen.tables or chosen.table == "census":
        named = chosen_tables(chosen.tables or chosen.table)
        tables = [(t.name, t.rows_at, partial(table_draw, table=t)) for t in named]
    else:
        groups = tuple(name for name in chosen.groups.split(",") if name)
        own = Table(name=chosen.table, package="file", item=chosen.table, label=chosen.label, groups=groups)
        tables = [(own.name, as_asked, partial(table_draw, table=own))]
    for size, count in zip(sizes, draws, strict=True):
        for name, rows_at, work in tables:
            if (rows := rows_at(size)) is not None:
                for draw in range(chosen.first, chosen.first + count):
                    cases.append((Case(table=name, size=size, rows=rows, draw=draw, metrics=chosen.metrics), work))
    lines = run_cases(cases, results=chosen.results, workers=chosen.workers, commit=product_commit())
    tell_gates(lines)
    tell_tables(lines)
    print(f"results: {chosen.results}")


if __name__ == "__main__":
    main()
