"""Gaps and ratios against Fairlearn's definitions, wholes against their cells, and what is shown of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.staged_models import decisions, people, staged
from simulations.simulate_gap_coverage import stratum_of

from counterproof.metrics.fairness._group_rates.assessment import Comparison, Question, Ready, assess
from counterproof.metrics.fairness._group_rates.rates import (
    FALSE_POSITIVE,
    SELECTION,
    SIDES,
    TRUE_POSITIVE,
    RateTable,
    share_table,
)
from counterproof.metrics.fairness._group_rates.values import (
    gap_difference,
    gap_ratio,
    gap_values,
    least_rate,
    level_at,
    measured_changes,
    wholes,
)
from counterproof.metrics.statistics.proportions import newcombe, wilson

PAIRS, OVERALL = Comparison(), Comparison(method="to_overall")
PARITY = Question(rates=(SELECTION,), limit=0.1)


def table_of(hits: list[int], rows: list[int]) -> RateTable:
    """Groups of which the real model selects so many rows, and the other none."""
    counts = np.zeros((len(rows), 2, 2, 2), dtype=np.intp)
    counts[:, 0, 1, 0] = hits
    counts[:, 0, 0, 0] = np.array(rows) - hits
    return share_table(stratum_of(len(rows)), counts, SELECTION)


def ready(n: int = 2000) -> Ready:
    rows = people(n)
    models = {name: decisions(rows[name].to_numpy()) for name in ("real", "synthetic")}
    groups = {name: rows[name].to_numpy(dtype=np.str_) for name in ("sex", "race")}
    answer = assess(staged(np.where(rows["truth"], "yes", "no"), **models, groups=groups), PARITY, models=("linear",))
    assert isinstance(answer, Ready)
    return answer


def test_the_gap_of_two_groups_is_newcombes_interval() -> None:
    gap = gap_difference([table_of([30, 90], [100, 200])], "real", 0.95, PAIRS)
    reference = newcombe(90, 200, 30, 100)
    assert gap is not None
    assert (gap.value, gap.low, gap.high) == pytest.approx((reference.value, reference.low, reference.high))


def test_the_gap_of_many_groups_is_the_widest_pair_at_the_level_of_all() -> None:
    hits, rows = [30, 90, 55, 2], [100, 200, 150, 20]
    gap = gap_difference([table_of(hits, rows)], "real", 0.95, PAIRS)
    pairs = [
        newcombe(hits[i], rows[i], hits[j], rows[j], level=0.95 ** (1 / 6))
        for i, j in itertools.permutations(range(4), 2)
    ]
    assert gap is not None
    assert gap.value == pytest.approx(0.45 - 0.1)
    assert gap.high == pytest.approx(max(pair.high for pair in pairs))
    assert gap.low == pytest.approx(max(0.0, *(pair.low for pair in pairs)))
    assert gap.method == "Newcombe, Šidák over 6 pairs"
    more = gap_difference([table_of(hits, rows)], "real", 0.95, PAIRS, shared_by=2)
    assert more is not None
    assert more.high > gap.high


def test_the_gap_to_overall_is_the_farthest_group_from_all_rows() -> None:
    table = table_of([30, 90, 55], [100, 200, 150])
    gap = gap_difference([table], "real", 0.95, OVERALL)
    assert gap is not None
    assert gap.value == pytest.approx(max(abs(share - 175 / 450) for share in (0.3, 0.45, 55 / 150)))
    assert gap.low <= gap.value <= gap.high


def test_ratios_are_the_least_over_the_largest_and_at_most_one() -> None:
    table = table_of([30, 90, 55], [100, 200, 150])
    ratio, overall = (gap_ratio([table], "real", 0.95, how) for how in (PAIRS, OVERALL))
    assert ratio is not None
    assert overall is not None
    assert ratio.value == pytest.approx(0.3 / 0.45)
    assert overall.value == pytest.approx(0.3 / (175 / 450))
    assert 0 < ratio.low < ratio.value < ratio.high <= 1
    assert (ratio.scale, ratio.method) == ("log", "MOVER-R, Šidák over 3 pairs")
    assert gap_ratio([table_of([0, 0], [50, 60])], "real", 0.95, PAIRS) is None


def test_two_rates_count_by_the_worse_or_by_their_mean() -> None:
    counts = np.random.default_rng(0).integers(5, 60, size=(3, 2, 2, 2))
    tables = [share_table(stratum_of(3), counts, rate) for rate in (TRUE_POSITIVE, FALSE_POSITIVE)]
    gaps = [float(np.ptp(table.rates["real"].values)) for table in tables]
    worst = gap_difference(tables, "real", 0.95, PAIRS)
    mean = gap_difference(tables, "real", 0.95, Comparison(aggregate="mean"))
    assert worst is not None
    assert mean is not None
    assert (worst.value, mean.value) == pytest.approx((max(gaps), sum(gaps) / 2))


def test_one_group_has_no_gap_and_no_rows_no_least_rate() -> None:
    assert gap_difference([table_of([3], [10])], "real", 0.95, PAIRS) is None
    assert gap_difference([table_of([3, 0], [10, 0])], "real", 0.95, PAIRS) is None
    assert least_rate(table_of([0], [0]), "real", 0.95) is None
    least = least_rate(table_of([30, 90], [100, 200]), "real", 0.95)
    assert least is not None
    assert (least.value, least.low) == pytest.approx((0.3, wilson(30, 100, 0.95**0.5).low))


def test_one_cell_of_one_model_has_the_interval_of_its_kind() -> None:
    table = table_of([30, 90], [100, 200])
    block = ready().blocks[0]
    pair = level_at(table, block.cells, 0, "real", 0.95)
    reference = newcombe(30, 100, 90, 200)
    assert (pair.value, pair.low, pair.high) == pytest.approx((reference.value, reference.low, reference.high))


def test_a_whole_is_made_of_decidable_cells_where_there_are_any() -> None:
    answer = ready()
    changes = measured_changes(answer)
    names = dict(wholes(answer, changes))
    assert set(names) == {(), (("sex", None),), (("race", None),)}
    assert all(change.decidable for several in names.values() for change in several)
    assert len(names[()]) == sum(change.decidable for change in changes)
    assert sum(map(len, names.values())) == 2 * len(names[()])


def test_the_whole_comes_with_the_forest_of_its_cells() -> None:
    answer = ready()
    by_place = {(value.field, value.group): value for value in gap_values(answer)}
    whole = by_place["change", ()]
    entries = whole.panels[0].data["entries"]
    assert [abs(entry["change"]["value"]) for entry in entries] == sorted(
        (abs(entry["change"]["value"]) for entry in entries), reverse=True
    )
    assert whole.estimate is not None
    assert abs(entries[0]["change"]["value"]) == pytest.approx(abs(whole.estimate.value))
    for entry in entries:
        assert entry["synthetic"]["value"] - entry["real"]["value"] == pytest.approx(entry["change"]["value"])
    moves = [abs(row[-1]) for row in whole.evidence[0].rows]
    assert moves == sorted(moves, reverse=True)


def test_fairlearns_names_stand_for_both_models() -> None:
    by_place = {(value.field, value.group): value for value in gap_values(ready())}
    for side in SIDES:
        where = (("sex", None), ("learner", "linear"))
        gap, named = by_place[side, where], by_place["difference", (*where, ("model", side))]
        assert gap.estimate == named.estimate
