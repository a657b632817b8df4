"""The preparing step: which groups are compared, and every reason for which nothing can be said."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.staged_models import decisions, people, staged, unsteady
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student
from simulations.simulate_gap_coverage import stratum_of

from counterproof.metrics.errors import MetricError
from counterproof.metrics.fairness._group_rates.assessment import (
    ALONE,
    CROSSED,
    LISTED,
    MISSED,
    Compared,
    Comparison,
    NotAssessable,
    Question,
    Ready,
    assess,
    faithful_changes,
    groups_alone,
    pairs_of_groups,
    positive_class,
    real_classes,
)
from counterproof.metrics.fairness._group_rates.calibration import CALIBRATION
from counterproof.metrics.fairness._group_rates.rates import (
    ACCURACY,
    FALSE_POSITIVE,
    SELECTION,
    TRUE_POSITIVE,
    RateTable,
    share_table,
)
from counterproof.metrics.workbench import Workbench

PARITY = Question(rates=(SELECTION,), limit=0.1)
ACCURACIES = Question(rates=(ACCURACY,), limit=-0.05, paired=False)
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
    rows: Any, smallest: int, crossed: bool
) -> None:
    cells = pairs_of_groups(rows, rows >= smallest, crossed=crossed)
    pairs = list(zip(cells.first.tolist(), cells.second.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert all(a < b for a, b in pairs)
    large = set(np.flatnonzero(rows >= smallest).tolist())
    both = {pair for pair in pairs if {*pair} <= large}
    many = len(large) > (CROSSED if crossed else ALONE)
    assert len(both) == (len(large) - 1 if many else len(large) * (len(large) - 1) // 2)
    compared = {group for pair in pairs for group in pair}
    if len(rows) > 1:
        assert compared >= set(np.flatnonzero(rows > 0).tolist())


@given(sizes_of_groups, st.data())
def test_whichever_groups_are_large_each_is_compared_once_with_another(rows: Any, data: Any) -> None:
    large = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    cells = pairs_of_groups(rows, large)
    pairs = list(zip(cells.first.tolist(), cells.second.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    if len(rows) > 1:
        assert {group for pair in pairs for group in pair} >= set(np.flatnonzero(rows > 0).tolist())


@given(sizes_of_groups)
def test_groups_alone_are_all_groups_the_large_ones_first(rows: Any) -> None:
    cells = groups_alone(rows)
    assert sorted(cells.first.tolist()) == list(range(len(rows)))
    assert (np.diff(rows[cells.first]) <= 0).all()


# -- what can be decided ------------------------------------------------------------------------


def agreeing(rows: list[int], *, disagree: int = 0, moved: list[float] | None = None) -> RateTable:
    """Two models that agree on every row, but for as many either way."""
    counts = np.zeros((len(rows), 2, 2, 2), dtype=np.intp)
    counts[:, 0, 0, 0] = np.array(rows) - 2 * disagree
    counts[:, 0, 0, 1] = counts[:, 0, 1, 0] = disagree
    table = share_table(stratum_of(len(rows)), counts, SELECTION)
    return table if moved is None else replace(table, change=np.array(moved))


def pair(halved: list[RateTable], whole: list[RateTable] | None = None) -> Compared:
    steady = [agreeing([9000, 9000])] * 20
    return faithful_changes(halved, whole or steady, pairs_of_groups(np.array([1, 1]), np.array([True, True])))


def test_a_faithful_change_spreads_by_half_the_squares_of_the_halves() -> None:
    rng = np.random.default_rng(0)
    moves = rng.normal(0, 0.05, 10)
    compared = pair([agreeing([9000, 9000], moved=[move, 0.0]) for move in moves])
    expected = np.sqrt((moves**2).mean() / 2)
    assert compared.spread[0] == pytest.approx(expected * student.ppf(0.99, 10) / norm.ppf(0.99), rel=1e-3)
    assert compared.error[0] == pytest.approx(expected * student.ppf(0.975, 20) / norm.ppf(0.975), rel=2e-3)


def test_models_of_halves_that_are_unlike_that_of_all_rows_make_the_change_less_sure() -> None:
    """Two halves that always agree, and both miss what all rows teach: by 0.05 in the gap."""
    same = [agreeing([9000, 9000])] * 10
    unlike = pair(same, [agreeing([9000, 9000], moved=[0.05, 0.0])] * 20)
    assert pair(same).error[0] < 0.001
    assert unlike.error[0] == pytest.approx(math.sqrt(2) * 0.05 * student.ppf(0.975, 20) / norm.ppf(0.975), rel=2e-3)


def test_where_training_moves_nothing_the_test_rows_still_do() -> None:
    compared = pair([agreeing([400, 400], disagree=20)] * 10)
    of_rows = np.sqrt(2 * 42 / 402**2)
    assert (compared.spread[0], compared.error[0]) == pytest.approx((of_rows, of_rows), rel=2e-3)


def test_what_most_halves_do_not_know_is_not_known() -> None:
    steady, unknown = agreeing([4000, 4000]), agreeing([4000, 4000], moved=[np.nan, 0.0])
    assert pair([steady] * 5 + [unknown] * 5).expected(0) is not None
    lost = pair([steady] * 4 + [unknown] * 6)
    assert lost.expected(0) is None
    assert PARITY.passed(lost.spread, lost.error).tolist() == [0.0]


@pytest.mark.parametrize(("limit", "paired"), [(0.1, True), (-0.05, False)])
def test_faithful_releases_pass_as_often_as_is_said(limit: float, paired: bool) -> None:
    question = Question(rates=(SELECTION,), limit=limit, paired=paired)
    spread, error = 0.03, 0.025
    drawn = np.random.default_rng(1).normal(0, spread, 200_000)
    bound = (np.abs(drawn) if paired else -drawn) + norm.ppf(0.95) * error
    said = question.passed(np.array([spread]), np.array([error]))[0]
    assert np.mean(bound <= 2 * abs(limit)) == pytest.approx(said, abs=0.003)


def crossed_groups(n: int) -> Ready:
    """Forty groups of falling size, crossed with two; models that training anew moves."""
    rng = np.random.default_rng(2)
    share = 1.0 / np.arange(1, 41)
    group = rng.choice([f"g{i:02}" for i in range(40)], n, p=share / share.sum())
    half = rng.choice(["p", "q"], n)
    truth = rng.random(n) < 0.4
    real = decisions(rng.random(n) < np.where(truth, 0.7, 0.3))
    view = staged(np.where(truth, "yes", "no"), real=real, synthetic=real, groups={"g": group, "h": half})
    return ready(replace(unsteady(view, 0.1), intersections=2))


def test_decidable_cells_are_the_most_reliable_and_pass_together() -> None:
    answer = crossed_groups(4000)
    miss = np.concatenate([1 - PARITY.passed(block.compared.spread, block.compared.error) for block in answer.blocks])
    decidable = np.concatenate([block.cells.decidable for block in answer.blocks])
    assert 0 < decidable.sum() < len(decidable)
    assert miss[decidable].sum() <= MISSED
    assert miss[decidable].max() <= miss[~decidable].min()


def test_of_many_undecidable_crossings_the_surest_are_listed_and_the_rest_counted() -> None:
    answer = crossed_groups(4000)
    (crossed,) = (block for block in answer.blocks if block.stratum.crossed)
    assert (~crossed.cells.decidable).sum() == LISTED
    assert crossed.cells.unlisted > 20


def test_views_of_halves_compare_the_same_cells() -> None:
    answer = ready(bench())
    again = ready(answer.bench.halves(3))
    for one, other in zip(answer.blocks, again.blocks, strict=True):
        assert one.compared is other.compared


def test_nothing_of_the_release_enters_what_is_decidable() -> None:
    alike, broken = (bench(synthetic=chosen) for chosen in (people(1500)["real"].to_numpy(), np.arange(1500) % 2 == 0))
    for one, other in zip(ready(alike).blocks, ready(broken).blocks, strict=True):
        assert one.compared.spread.tolist() == other.compared.spread.tolist()
        assert one.cells.decidable.tolist() == other.cells.decidable.tolist()


def test_questions_that_read_the_same_cells_agree_on_what_is_decidable() -> None:
    view = crossed_groups(3000).bench
    opportunity = ready(view, Question(rates=(TRUE_POSITIVE,), beside=(FALSE_POSITIVE,), limit=0.25))
    odds = ready(view, Question(rates=(TRUE_POSITIVE, FALSE_POSITIVE), limit=0.25))
    both = {block.group(i)[:-1]: block for block in odds.blocks if block.rate is TRUE_POSITIVE for i in range(1)}
    decided = 0
    for block in opportunity.blocks:
        twin = both[block.group(0)]
        assert block.cells.decidable.tolist() == twin.cells.decidable.tolist()
        decided += int(block.cells.decidable.sum())
    assert decided > 0


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
    both = Question(rates=(SELECTION, TRUE_POSITIVE), limit=0.1)
    answer = ready(bench(), both)
    assert [block.group(0) for block in answer.blocks] == [
        (("sex", "F – M"), ("learner", "linear"), ("rate", rate)) for rate in ("selection rate", "true positive rate")
    ]
    assert answer.sizes == {"learning": 1500, "studying": 1500, "trial": 1500}
    assert answer.positive == "yes"
    assert answer.changes(answer.bench) == pytest.approx(
        [block.table.changes(block.cells)[0] for block in answer.blocks]
    )
    assert (answer.crowded, answer.without_gap, answer.nothing_to_compare) == ({}, {}, "")
    overall = ready(bench(), how=Comparison(method="to_overall"))
    assert {overall.blocks[0].group(i)[0][1] for i in range(2)} == {"F – overall", "M – overall"}


def test_small_counts_are_not_disclosed() -> None:
    answer = ready(bench())
    block = answer.blocks[0]
    rows = block.table.rows.tolist()
    assert block.remark(0, 10) == f"{rows[0]} and {rows[1]} trial rows"
    assert block.remark(0, max(rows)).count("fewer than") == 1
    positives = ready(bench(), Question(rates=(TRUE_POSITIVE,), limit=0.25)).blocks[0]
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
    assert ready(view, Question(rates=(CALIBRATION,), limit=0.1, gated=False)).learners == ("linear",)
    assert ready(view.halves(0)).learners == ("linear",)


def test_a_single_group_leaves_nothing_to_compare() -> None:
    rows = people(600)
    models = {name: decisions(rows[name].to_numpy()) for name in ("real", "synthetic")}
    view = staged(np.where(rows["truth"], "yes", "no"), **models, groups={"sex": np.full(600, "F")})
    assert ready(view).nothing_to_compare == "the real test rows hold fewer than two groups to compare"
    assert ready(view, ACCURACIES).nothing_to_compare == ""
