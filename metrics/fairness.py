"""Do models trained on the release treat groups otherwise than models trained on real rows?

What is judged is the signed *change* of a gap, on both sides: a broken model that treats all alike
badly shrinks every gap, and that is no virtue of the release. Names and conventions of the gaps are
Fairlearn's (Bird et al. 2020; Hardt et al. 2016, arXiv:1610.02413).

Every metric trains the same learners on real rows and on as many rows of the release, tries both
on the same real rows that neither saw, and yields:

* ``change``: for every pair of groups the gap of the release's model minus the gap of the real
  one, for every learner; for a group column as a whole and for the data set, the worst of these.
  Its interval holds the paired error of the trial rows and the spread of training anew.
* ``real`` and ``synthetic``: the gap ``max - min`` over groups of each model, with a simultaneous
  interval of the trial rows (a percentile bootstrap of it never covers 0).

Groups with too few real trial rows are measured and listed, but cannot decide; where all groups
are that small, the question is not assessable. Gaps of three or more classes are asked of the class
that is named positive, and do not apply without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from counterproof.metrics.decisions import ACCURACY, FALSE_POSITIVE, SELECTION, TRUE_POSITIVE
from counterproof.metrics.group_figures import forest, most_changed_groups
from counterproof.metrics.inquiry import (
    Inquiry,
    Question,
    blindness,
    change_values,
    inapplicable,
    inquire,
    level_values,
    measured_changes,
    null_values,
    of_learners,
    refusal,
    unassessed,
    whole_values,
)
from counterproof.metrics.metric import Needs, Tolerance, Value, metric
from counterproof.metrics.refits import REFITS, Change
from counterproof.metrics.workbench import Workbench

NEEDS = Needs(label=True, groups=True, smallest_n=500)
PARITY = Question(rates=(SELECTION,), minimum=400, limit=0.10)
OPPORTUNITY = Question(rates=(TRUE_POSITIVE,), minimum=150, limit=0.25)
ODDS = Question(rates=(TRUE_POSITIVE, FALSE_POSITIVE), minimum=150, limit=0.25)
WORST = Question(rates=(ACCURACY,), minimum=400, limit=-0.05, paired=False)


def _answers(inquiry: Inquiry) -> Iterator[Value]:
    """All values of one question for one view."""
    undefined = inapplicable(inquiry)
    refused = refusal(inquiry)
    if undefined:
        yield Value(field="change", status="not_applicable", reason=undefined)
    elif refused:
        yield from unassessed(inquiry, inquiry.learners, refused)
    elif inquiry.bench.is_null:
        yield from null_values(inquiry)
    else:
        yield from _measured(inquiry)


def _measured(inquiry: Inquiry) -> Iterator[Value]:
    blind = {learner: reason for learner in inquiry.learners if (reason := blindness(inquiry, learner))}
    seeing = of_learners(inquiry, tuple(name for name in inquiry.learners if name not in blind))
    changes: list[Change] = []
    if seeing.learners:
        changes = measured_changes(seeing)
        yield from change_values(seeing, changes)
        yield from level_values(seeing)
    if blind:
        yield from unassessed(inquiry, tuple(blind), next(iter(blind.values())))
        return
    for value in whole_values(seeing, changes):
        if value.group:
            yield value
        else:
            yield replace(value, panels=(forest(seeing, changes),), evidence=(most_changed_groups(seeing),))


@metric(
    id="fairness.demographic_parity_difference",
    family="fairness",
    better="zero",
    headline="change",
    unit="share",
    needs=NEEDS,
    null="halves",
    draws=REFITS,
    tolerances=(
        Tolerance(
            field="change",
            operator="<=",
            limit=PARITY.limit,
            cells=True,
            reason="training luck alone moves a gap of selection rates by 0.018 (one standard deviation at 5,000 "
            "rows), so fresh real data stay inside 0.10 from 400 trial rows a group on",
        ),
    ),
)
def demographic_parity_difference(
    bench: Workbench, *, models: tuple[str, ...] | None = None, positive: str | None = None
) -> Iterator[Value]:
    """How much the release changes the gap of selection rates between groups.

    The selection rate of a group is the share of its rows for which the positive class is
    predicted.

    Args:
        bench: The view.
        models: Learners to train; the modality's two without it.
        positive: The positive class; the rarer of two real classes without it.
    """
    yield from _answers(inquire(bench, PARITY, models=models, positive=positive))


@metric(
    id="fairness.equal_opportunity_difference",
    family="fairness",
    better="zero",
    headline="change",
    unit="share",
    needs=NEEDS,
    null="halves",
    draws=REFITS,
    tolerances=(
        Tolerance(
            field="change",
            operator="<=",
            limit=OPPORTUNITY.limit,
            cells=True,
            reason="training luck alone moves a gap of true positive rates by 0.052 (one standard deviation at 5,000 "
            "rows), so fresh real data stay inside 0.25 from 150 positive trial rows a group on",
        ),
    ),
)
def equal_opportunity_difference(
    bench: Workbench, *, models: tuple[str, ...] | None = None, positive: str | None = None
) -> Iterator[Value]:
    """How much the release changes the gap of true positive rates between groups.

    Args:
        bench: The view.
        models: Learners to train; the modality's two without it.
        positive: The positive class; the rarer of two real classes without it.
    """
    yield from _answers(inquire(bench, OPPORTUNITY, models=models, positive=positive))


@metric(
    id="fairness.equalized_odds_difference",
    family="fairness",
    better="zero",
    headline="change",
    unit="share",
    needs=NEEDS,
    null="halves",
    draws=REFITS,
    tolerances=(
        Tolerance(
            field="change",
            operator="<=",
            limit=ODDS.limit,
            cells=True,
            reason="as for equal opportunity, of true and of false positive rates: the worse of both counts",
        ),
    ),
)
def equalized_odds_difference(
    bench: Workbench, *, models: tuple[str, ...] | None = None, positive: str | None = None
) -> Iterator[Value]:
    """How much the release changes the gaps of true and of false positive rates between groups.

    Each of the two rates is a cell of its own; the worst of both decides.

    Args:
        bench: The view.
        models: Learners to train; the modality's two without it.
        positive: The positive class; the rarer of two real classes without it.
    """
    yield from _answers(inquire(bench, ODDS, models=models, positive=positive))


@metric(
    id="fairness.worst_group_accuracy",
    family="fairness",
    title="accuracy of the worst group",
    better="higher",
    headline="change",
    unit="share",
    needs=NEEDS,
    null="halves",
    draws=REFITS,
    tolerances=(
        Tolerance(
            field="change",
            operator=">=",
            limit=WORST.limit,
            cells=True,
            reason="no group of 400 trial rows may lose five points of accuracy; fresh real data stay well inside",
        ),
    ),
)
def worst_group_accuracy(bench: Workbench, *, models: tuple[str, ...] | None = None) -> Iterator[Value]:
    """What the release costs each group in accuracy: its model minus the real one.

    ``real`` and ``synthetic`` are the accuracy of the worst group of each model. It is defined for
    any number of classes, and for a model that decides the same for every row.

    Args:
        bench: The view.
        models: Learners to train; the modality's two without it.
    """
    yield from _answers(inquire(bench, WORST, models=models))
