"""How often ``fidelity.text_profiles`` passes fresh columns and fails spoiled ones.

Columns of names, addresses, codes, remarks, UUIDs, telephone numbers, dates and running numbers are made by a seed
(``text_columns.py``). On 2026-11-30 fresh rows passed 30 of 30 audits at 500 rows a role (about 80 cells each), 14 of
14 at 1,000, and 4 of 4 on each of the tables loans_titles and storms; every spoiled column failed at 700 rows
(``tests/metrics/fidelity/test_text_profiles.py``), but for identifiers without any value and dates that are none
any more: those are named as not judged, and these fail ``fidelity.schema``.

Run: ``python -m simulations.simulate_text_profiles 1000 20`` in ``tests/``.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
from helpers.records import desk, measured
from simulations.tables import ROLES, TABLES, Roles, deal, frame_of
from simulations.text_columns import COLUMNS, NOTHING, SPOILS, frame

from counterproof.judging.gates import judge_gates
from counterproof.judging.policy import policy_gates
from counterproof.metrics.fidelity.text_profiles import text_profiles
from counterproof.reports.model import GateReading, Reading

WITH_TEXTS = ("loans_titles", "storms")


def gate(roles: Roles, label: str | None = None) -> GateReading:
    """The gate of the default policy on these roles."""
    found = measured(text_profiles, desk(sources=roles, label=label)).values()
    (judged,) = judge_gates(policy_gates([text_profiles]), [Reading.of(m, family="fidelity", title="") for m in found])
    return judged


def fresh(n: int, seed: int) -> Roles:
    """Three roles of one source."""
    return {role: frame(n, 1000 * seed + at) for at, role in enumerate(ROLES[:3])}


def main(n: int, draws: int) -> None:
    """Print verdicts of fresh rows, of spoiled columns, and of real tables that hold texts."""
    print("fresh", n, dict(Counter(gate(fresh(n, draw)).verdict for draw in range(draws))))
    for spoil, change in SPOILS.items():
        told = Counter[str]()
        for column in COLUMNS:
            roles = fresh(n, draws)
            made = roles["synthetic"]
            made[column] = change(made[column], np.random.default_rng(0))
            told["nothing to spoil" if (column, spoil) in NOTHING else gate(roles).verdict] += 1
        print(spoil, n, dict(told))
    for name in WITH_TEXTS:
        table = TABLES[name]
        roles = [deal(frame_of(table), n=table.rows[0], draw=draw) for draw in range(draws)]
        print(name, table.rows[0], dict(Counter(gate(one, table.label).verdict for one in roles)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
