"""The preparing step: which groups are compared, and every reason for which nothing can be said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.staged_models import decisions, people, staged
from hypothesis import given
from hypothesis import strategies as st
from simulations.simulate_gap_coverage import stratum_of

from counterproof.metrics.errors import MetricError
from counterproof.metrics.fairness._group_rates.assessment import (
    ALONE,
    CROSSED,
    LISTED,
    Comparison,
    NotAssessable,
    Question,
    Ready,
    assess,
    groups_alone,
    groups_to_overall,
    high_power_cells,
    listed,
    pairs_of_groups,
    positive_class,
    real_classes,
)
from counterproof.metrics.fairness._group_rates.calibration import CALIBRATION
from counterproof.metrics.fairness._group_rates.rates import ACCURACY, SELECTION, TRUE_POSITIVE, RateTable, share_table
from counterproof.metrics.workbench import Workbench

PARITY = Question(rates=(SELECTION,), minimum=100, limit=0.1)
ACCURACIES = Question(rates=(ACCURACY,), minimum=100, limit=-0.05, paired=False)
sizes_of_groups = st.lists(st.integers(0, 500), min_size=1, max_size=40).map(np.array)


def bench(n: int = 1500, *, labels: Any = None, **changed: Any) -> Workbench:
    rows = people(n)
    if labels is None:
        labels = np.where(rows["truth"], "yes", "no")
    k = len(np.unique(labels[labels != ""]))
    models = {}
    for name in ("real", "synthetic"):
        chosen = changed.get(name, rows[name].to_numpy())
        models[name] = np.pad(decisions(chosen), ((0, 0), (0, max(k - 2, 0))))[:, :k]
    return staged(labels, **models, groups={"sex": rows["sex"].to_numpy(dtype=np.str_)})


def asked(view: Workbench, question: Question = PARITY, **options: Any) -> Ready | NotAssessable:
    return assess(view, question, models=options.pop("models", ("linear",)), **options)


def refused(view: Workbench, question: Question = PARITY) -> NotAssessable:
    answer = asked(view, question)
    assert isinstance(answer, NotAssessable)
    return answer


def ready(view: Workbench, question: Question = PARITY, **options: Any) -> Ready:
    answer = asked(view, question, **options)
    assert isinstance(answer, Ready)
    return answer


# -- who is compared ----------------------------------------------------------------------------


@given(sizes_of_groups, st.integers(1, 200), st.booleans())
def test_every_group_with_rows_is_compared_and_large_ones_with_each_other(
    rows: Any, minimum: int, crossed: bool
) -> None:
    cells = pairs_of_groups(rows, minimum, crossed=crossed)
    pairs = set(zip(cells.first.tolist(), cells.second.tolist(), strict=True))
    assert len(pairs) == len(cells)
    assert all(a < b for a, b in pairs)
    large = set(np.flatnonzero(rows >= minimum).tolist())
    both = {(a, b) for a, b in pairs if {a, b} <= large}
    decidable = {(int(a), int(b)) for a, b, d in zip(cells.first, cells.second, cells.decidable, strict=True) if d}
    assert decidable == both
    many = len(large) > (CROSSED if crossed else ALONE)
    assert len(both) == (len(large) - 1 if many else len(large) * (len(large) - 1) // 2)
    compared = {group for pair in pairs for group in pair}
    if len(rows) > 1:
        assert compared >= set(np.flatnonzero(rows > 0).tolist())


@given(sizes_of_groups, st.integers(1, 200))
def test_groups_alone_are_all_groups_the_large_ones_first(rows: Any, minimum: int) -> None:
    cells = groups_alone(rows, minimum)
    assert sorted(cells.first.tolist()) == list(range(len(rows)))
    assert (cells.decidable == (rows[cells.first] >= minimum)).all()
    assert not np.diff(cells.decidable.astype(int)).clip(min=0).any()
    assert groups_to_overall(rows, minimum).kind == "overall"


def test_of_many_small_groups_the_largest_are_listed_and_the_rest_counted() -> None:
    rows = np.concatenate([[900, 800], np.arange(1, 41)])
    cells = pairs_of_groups(rows, 100)
    few = listed(cells, rows)
    assert (len(few), few.unlisted) == (1 + LISTED, 40 - LISTED)
    assert few.decidable.tolist() == [True] + [False] * LISTED
    assert sorted(np.minimum(rows[few.first], rows[few.second]).tolist()) == [*range(21, 41), 800]
    assert listed(few, rows) is few


def same_decisions(groups: int, rows: int) -> RateTable:
    """Two models that agree on every row."""
    counts = np.zeros((groups, 2, 2, 2), dtype=np.intp)
    counts[:, :, 0, 0] = counts[:, :, 1, 1] = rows // 4
    return share_table(stratum_of(groups), counts, SELECTION)


def test_power_needs_both_enough_test_rows_and_steady_training() -> None:
    cells = pairs_of_groups(np.array([4000, 4000]), 1)
    steady = [same_decisions(2, 4000)] * 4
    assert high_power_cells(steady, cells, 0.1).tolist() == [True]
    assert high_power_cells([same_decisions(2, 40)] * 4, cells, 0.1).tolist() == [False]
    moved = replace(same_decisions(2, 4000), change=np.array([0.1, 0.0]))
    assert high_power_cells([moved] * 4, cells, 0.1).tolist() == [False]
    empty = replace(same_decisions(2, 4000), change=np.array([np.nan, 0.0]))
    assert high_power_cells([*steady, empty], cells, 0.1).tolist() == [False]


# -- options ------------------------------------------------------------------------------------


def test_the_positive_class_is_the_named_or_the_rarer_of_two() -> None:
    labels = np.array(["yes"] * 300 + ["no"] * 900)
    view = bench(1200, labels=labels)
    assert real_classes(view) == ["yes", "no"]
    assert positive_class(view, None) == "yes"
    assert positive_class(view, "no") == "no"
    with pytest.raises(MetricError, match="no real row has label = 'maybe', or fewer than 10 have it"):
        positive_class(view, "maybe")
    three = bench(1200, labels=np.array(["a", "b", "c"] * 400))
    assert positive_class(three, None) == ""


def test_what_is_ready_holds_a_block_for_every_rate_of_every_stratum() -> None:
    both = Question(rates=(SELECTION, TRUE_POSITIVE), minimum=100, limit=0.1)
    answer = ready(bench(), both)
    assert [block.group(0) for block in answer.blocks] == [
        (("sex", "F – M"), ("learner", "linear"), ("rate", rate)) for rate in ("selection rate", "true positive rate")
    ]
    assert answer.sizes == {"learning": 1500, "studying": 1500, "trial": 1500}
    assert answer.positive == "yes"
    assert answer.changes(answer.bench) == pytest.approx(
        [block.table.changes(block.cells)[0] for block in answer.blocks]
    )
    assert (answer.crowded, answer.without_gap, answer.undecidable) == ({}, {}, "")
    overall = ready(bench(), how=Comparison(method="to_overall"))
    assert [overall.blocks[0].group(i)[0][1] for i in range(2)] == ["F – overall", "M – overall"]


def test_small_counts_are_not_disclosed() -> None:
    answer = ready(bench())
    block = answer.blocks[0]
    rows = block.table.rows.tolist()
    assert block.remark(0, 10) == f"{rows[0]} and {rows[1]} trial rows"
    assert block.remark(0, max(rows)).count("fewer than") == 1
    positives = ready(bench(), Question(rates=(TRUE_POSITIVE,), minimum=100)).blocks[0]
    assert positives.remark(0, 1).endswith(" positive trial rows")


# -- why nothing can be said --------------------------------------------------------------------


def test_three_classes_without_a_positive_one_are_another_question() -> None:
    view = bench(1500, labels=np.array(["a", "b", "c"] * 500))
    answer = refused(view)
    assert not answer.applicable
    assert [value.status for value in answer.values()] == ["not_applicable"]
    assert isinstance(asked(view, ACCURACIES), Ready)


def test_one_class_leaves_no_gap_and_the_reason_reaches_every_learner() -> None:
    answer = refused(bench(600, labels=np.array(["yes"] * 600)))
    assert answer.reason == "the real rows hold fewer than two classes of label"
    groups = [value.group for value in answer.values()]
    assert groups == [(), (("learner", "linear"),)]
    assert {value.status for value in answer.values()} == {"not_assessable"}


def test_test_rows_without_labels_or_of_one_source_tell_nothing() -> None:
    view = bench(600)
    labels = view.corpus.labels
    assert labels is not None
    labels[view.test.rows] = ""
    assert refused(view).reason == "no real test row has a value of label"
    rows = people(600)
    models = {name: decisions(rows[name].to_numpy()) for name in ("real", "synthetic")}
    one = staged(
        np.where(rows["truth"], "yes", "no"),
        **models,
        groups={"sex": rows["sex"].to_numpy(dtype=np.str_)},
        clusters=np.zeros(600, dtype=np.intp),
    )
    assert "come from one source" in refused(one).reason


def test_a_model_that_decides_the_same_for_all_has_no_gap_but_an_accuracy() -> None:
    view = bench(synthetic=np.zeros(1500, dtype=bool))
    answer = ready(view)
    assert answer.learners == ()
    assert answer.without_gap == {
        "linear": "the linear model trained on the release decides the same for every row, so it has no gap"
    }
    assert ready(view, ACCURACIES).learners == ("linear",)
    assert ready(view, Question(rates=(CALIBRATION,), minimum=100)).learners == ("linear",)
    assert ready(view.halves(0)).learners == ("linear",)


def test_what_is_too_small_says_how_many_rows_it_needs() -> None:
    answer = ready(bench(), replace(PARITY, minimum=5000))
    assert answer.undecidable == "no group is large enough at this size: 5000 test rows each are needed"
    positives = ready(bench(), Question(rates=(TRUE_POSITIVE,), minimum=5000))
    assert positives.undecidable.endswith("5000 positive test rows each are needed")
