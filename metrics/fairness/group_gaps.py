"""Do models trained on the release treat groups otherwise than models trained on real rows?

What is judged is the signed *change* of a gap, on both sides: a broken model that treats all groups
equally badly shrinks every gap, and the release deserves no credit for it. Names and conventions of the
gaps are Fairlearn's (Bird et al. 2020; Hardt et al. 2016, arXiv:1610.02413).

Every metric trains the same learners on real rows and on as many rows of the release, tries both
on the same real rows that neither saw, and yields:

* ``change``: for every pair of groups the gap of the release's model minus the gap of the real
  one, for every learner; for a group column as a whole and for the data set, the worst of these.
  Its interval holds the paired error of the test rows and the spread of training anew.
* ``real`` and ``synthetic``: the gap ``max - min`` over groups of each model, with a simultaneous
  interval of the test rows (a percentile bootstrap of it never covers 0).
* ``difference`` and ``ratio``: the same by Fairlearn's names, for each model, and the worst of the
  release's models for a group column as a whole. ``method="to_overall"`` compares each group with
  all rows, ``control`` compares within each value of other group columns.

``learning`` and ``studying`` among the sizes are the real and the release's rows that models learned from,
50,000 of either side at most; ``trial`` are the real test rows. Training anew is simulated by ten splits
of either side in two halves, whose models differ by training alone.

Groups are the values of every group column and, with ``intersections``, of several at once: a pair
is called ``F, Black – M, White`` in the column ``sex, race``. What can be decided at this size follows
from the real rows alone: models of their halves show how far the change of a faithful release would
scatter in each cell. The most cells that such a release passes all at once are decidable; the others are
measured and listed, may fail, and block no PASS. Gaps of three or more classes are asked of the class
that is named positive, and do not apply without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from counterproof.metrics.engine.learners import Models
from counterproof.metrics.fairness._group_rates.assessment import (
    Aggregate,
    Comparison,
    Method,
    Question,
    assess,
    foreseen,
)
from counterproof.metrics.fairness._group_rates.calibration import CALIBRATION, calibration_errors
from counterproof.metrics.fairness._group_rates.rates import (
    ACCURACY,
    FALSE_POSITIVE,
    PRECISION,
    SELECTION,
    TRUE_POSITIVE,
)
from counterproof.metrics.fairness._group_rates.values import gap_values
from counterproof.metrics.fairness._group_rates.worst_group import metric_frame, minimax_values
from counterproof.metrics.metric import Metric, Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.shared.retraining import REFITS
from counterproof.metrics.workbench import Workbench

PARITY = Question(
    rates=(SELECTION,),
    limit=0.10,
    why="ten of 100 applicants more or fewer in one group than in another change who is served; training luck alone "
    "moves this gap by 0.018 at 5,000 rows (one standard deviation)",
)
OPPORTUNITY = Question(
    rates=(TRUE_POSITIVE,),
    beside=(FALSE_POSITIVE,),
    limit=0.25,
    why="a quarter of those who qualify in one group, beyond the other, would be passed over; training luck alone "
    "moves this gap by 0.052 at 5,000 rows (one standard deviation)",
)
ODDS = Question(
    rates=(TRUE_POSITIVE, FALSE_POSITIVE),
    limit=0.25,
    why="as for equal opportunity, of true and of false positive rates: the worse of both counts",
)
PREDICTIONS = Question(rates=(PRECISION,), limit=0.25, gated=False)
CALIBRATED = Question(rates=(CALIBRATION,), limit=0.10, gated=False)
WORST = Question(
    rates=(ACCURACY,),
    limit=-0.05,
    why="no group may lose five points of accuracy",
    paired=False,
)


AGAINST = "{} against training on real data"


def of_groups(
    question: Question, says: Quantity, *, title: str = "", unit: str = "share"
) -> Callable[[Callable[..., Iterable[Value]]], Metric]:
    """Declare the metric ``fairness.NAME`` of a function NAME that asks this question."""
    gate = Tolerance(
        field="change",
        operator="<=" if question.paired else ">=",
        limit=question.limit,
        cells=True,
        reason=question.why,
    )

    def declare(function: Callable[..., Iterable[Value]]) -> Metric:
        return metric(
            id=f"fairness.{function.__name__}",
            family="fairness",
            title=title,
            algo=2,
            better=question.better,
            headline="change",
            unit=unit,
            needs=Needs(label=True, groups=True),
            reads=("features", "groups", "label"),
            null="halves",
            draws=REFITS,
            tolerances=(gate,) if question.gated else (),
            preflight=partial(foreseen, question),
            quantities={"change": says},
        )(function)

    return declare


@of_groups(
    PARITY,
    Quantity(
        name="Demographic parity difference ({group})",
        shown_as="points",
        measure=AGAINST,
        finding="Models trained on the release select groups otherwise ({group})",
        means="Other shares of these groups would be selected.",
        remedy="Compare label shares and features of the groups with real data; resample or retrain by group.",
    ),
)
def demographic_parity_difference(
    bench: Workbench,
    *,
    models: Models | None = None,
    positive: str | None = None,
    method: Method = "between_groups",
    control: tuple[str, ...] = (),
) -> Iterator[Value]:
    """How much the release changes the gap of selection rates between groups.

    The selection rate of a group is the share of its rows for which the positive class is predicted. One model
    is trained on the release, one on real rows; both are tested on the same real rows.

    Formula:
        gap = selection rate of one group − selection rate of another
        change = gap (model of the release) − gap (model of real rows)

    How to read it:
        0 means that a model trained on the release selects the groups as a model of real rows does. +0.1 means
        that ten of 100 rows of one group more, beyond the other, are selected. The change is signed, because a
        broken model that treats everybody alike badly shrinks every gap and deserves no credit for it.

    Limits:
        It compares two models, and does not say whether the real gap is just. It is about one label and these
        learners. Pairs of groups that even a faithful release might not pass are listed as "too few rows".

    Args:
        bench: The samples.
        models: Learners to train; by default the two of the kind of data.
        positive: The positive class; by default the rarer of two real classes.
        method: Gaps between pairs of groups, or from each group to all rows.
        control: Group columns held fixed: gaps within each of their values.

    Yields:
        change: Change of the gap for each pair of groups and learner; the one farthest from 0 without a group.
        real: Largest gap of the model of real rows.
        synthetic: Largest gap of the model of the release.
        difference: Largest less smallest selection rate of each model, as Fairlearn defines it.
        ratio: Smallest over largest selection rate of each model, as Fairlearn defines it.

    Source:
        Agarwal et al. (2018), arXiv:1803.02453; names and conventions are Fairlearn's.
    """
    how = Comparison(method=method)
    yield from gap_values(assess(bench, PARITY, models=models, positive=positive, how=how, control=control))


@of_groups(
    OPPORTUNITY,
    Quantity(
        name="Equal opportunity difference ({group})",
        shown_as="points",
        measure=AGAINST,
        finding="Models trained on the release pass over the qualified of one group more often ({group})",
        means="Qualified members of a group would be passed over.",
        remedy="Compare label shares and features of the groups with real data; resample or retrain by group.",
    ),
)
def equal_opportunity_difference(
    bench: Workbench,
    *,
    models: Models | None = None,
    positive: str | None = None,
    method: Method = "between_groups",
    control: tuple[str, ...] = (),
) -> Iterator[Value]:
    """How much the release changes the gap of true positive rates between groups.

    The true positive rate of a group is the share of its truly positive rows for which the positive class is
    predicted. One model is trained on the release, one on real rows; both are tested on the same real rows.

    Formula:
        gap = true positive rate of one group − that of another
        change = gap (model of the release) − gap (model of real rows)

    How to read it:
        0 means that the release does not move the gap. +0.25 means that a quarter of those who qualify in one
        group, beyond the other, is treated otherwise. The change is signed, on both sides.

    Limits:
        It compares two models, and does not say whether the real gap is just. Rates of few positive rows
        scatter much: such pairs of groups are listed as "too few rows".

    Args:
        bench: The samples.
        models: Learners to train; by default the two of the kind of data.
        positive: The positive class; by default the rarer of two real classes.
        method: Gaps between pairs of groups, or from each group to all rows.
        control: Group columns held fixed: gaps within each of their values.

    Yields:
        change: Change of the gap for each pair of groups and learner; the one farthest from 0 without a group.
        real: Largest gap of the model of real rows.
        synthetic: Largest gap of the model of the release.
        difference: Largest less smallest true positive rate of each model, as Fairlearn defines it.
        ratio: Smallest over largest true positive rate of each model, as Fairlearn defines it.

    Source:
        Hardt, Price and Srebro (2016), arXiv:1610.02413; names and conventions are Fairlearn's.
    """
    how = Comparison(method=method)
    yield from gap_values(assess(bench, OPPORTUNITY, models=models, positive=positive, how=how, control=control))


@of_groups(
    ODDS,
    Quantity(
        name="Equalized odds difference ({group})",
        shown_as="points",
        measure=AGAINST,
        finding="Error rates of groups move apart with models trained on the release ({group})",
        means="One group would bear more of the errors.",
        remedy="Compare label shares and features of the groups with real data; resample or retrain by group.",
    ),
)
def equalized_odds_difference(
    bench: Workbench,
    *,
    models: Models | None = None,
    positive: str | None = None,
    method: Method = "between_groups",
    control: tuple[str, ...] = (),
    agg: Aggregate = "worst_case",
) -> Iterator[Value]:
    """How much the release changes the gaps of true and of false positive rates between groups.

    Each of the two rates is a cell of its own; the worst of both decides. One model is trained on the release,
    one on real rows; both are tested on the same real rows.

    Formula:
        gap of a rate = rate of one group − rate of another, for true and for false positive rates
        change = gap (model of the release) − gap (model of real rows)

    How to read it:
        0 means that the release moves neither gap. Each change is signed and names the rate.

    Limits:
        It compares two models, and does not say whether the real gaps are just. Rates of few rows scatter much:
        such pairs of groups are listed as "too few rows".

    Args:
        bench: The samples.
        models: Learners to train; by default the two of the kind of data.
        positive: The positive class; by default the rarer of two real classes.
        method: Gaps between pairs of groups, or from each group to all rows.
        control: Group columns held fixed: gaps within each of their values.
        agg: How ``real``, ``synthetic``, ``difference`` and ``ratio`` put the two rates together: the worse of
            both, or their mean. ``change`` takes the worse whatever this is.

    Yields:
        change: Change of the gap for each rate, pair of groups and learner; the one farthest from 0 without a
            group.
        real: Largest gap of the model of real rows.
        synthetic: Largest gap of the model of the release.
        difference: Gap of each model, as Fairlearn defines it.
        ratio: Ratio of rates of each model, as Fairlearn defines it.

    Source:
        Hardt, Price and Srebro (2016), arXiv:1610.02413; names and conventions are Fairlearn's.
    """
    how = Comparison(method=method, aggregate=agg)
    yield from gap_values(assess(bench, ODDS, models=models, positive=positive, how=how, control=control))


@of_groups(
    PREDICTIONS,
    Quantity(
        name="Predictive parity difference ({group})",
        shown_as="points",
        measure=AGAINST,
        finding="Precision moves apart between groups with models trained on the release ({group})",
        means="A positive prediction would mean less for one group.",
        remedy="Compare label shares and features of the groups with real data; resample or retrain by group.",
    ),
)
def predictive_parity_difference(
    bench: Workbench,
    *,
    models: Models | None = None,
    positive: str | None = None,
    method: Method = "between_groups",
    control: tuple[str, ...] = (),
) -> Iterator[Value]:
    """How much the release changes the gap of precision between groups.

    The precision (positive predictive value) of a group is the share of true positives among its rows for which
    the positive class is predicted. Each model is judged on the rows that it selects itself. One model is
    trained on the release, one on real rows; both are tested on the same real rows.

    Formula:
        gap = precision of one group − precision of another
        change = gap (model of the release) − gap (model of real rows)

    How to read it:
        0 means that the release does not move the gap. The change is signed.

    Limits:
        It compares two models that select different rows. It is about one label and these learners. It has no
        default gate.

    Args:
        bench: The samples.
        models: Learners to train; by default the two of the kind of data.
        positive: The positive class; by default the rarer of two real classes.
        method: Gaps between pairs of groups, or from each group to all rows.
        control: Group columns held fixed: gaps within each of their values.

    Yields:
        change: Change of the gap for each pair of groups and learner; the one farthest from 0 without a group.
        real: Largest gap of the model of real rows.
        synthetic: Largest gap of the model of the release.
        difference: Largest less smallest precision of each model.
        ratio: Smallest over largest precision of each model.

    Source:
        Chouldechova (2017), Fair prediction with disparate impact, arXiv:1703.00056.
    """
    how = Comparison(method=method)
    yield from gap_values(assess(bench, PREDICTIONS, models=models, positive=positive, how=how, control=control))


@of_groups(
    CALIBRATED,
    Quantity(
        name="Calibration difference ({group})",
        shown_as="points",
        measure=AGAINST,
        finding="Calibration moves apart between groups with models trained on the release ({group})",
        means="Predicted probabilities would be less true for one group.",
        remedy="Compare label shares and features of the groups with real data; resample or retrain by group.",
    ),
    unit="probability",
)
def calibration_difference(
    bench: Workbench,
    *,
    models: Models | None = None,
    positive: str | None = None,
    method: Method = "between_groups",
    control: tuple[str, ...] = (),
) -> Iterator[Value]:
    """How much the release changes the gap of calibration between groups.

    Calibration in the large compares the share of positives in a group with the mean probability that the model
    gives it. One model is trained on the release, one on real rows; both are tested on the same real rows. The
    expected calibration error of each group stands in the evidence only: it is never below 0, so no valid
    interval of it is narrow enough to decide.

    Formula:
        calibration of a group = share of positives − mean predicted probability
        change = gap between groups (model of the release) − the same gap (model of real rows)

    How to read it:
        0 means that scores mean the same in every group as with a model of real rows. The sign says which way
        the gap moved.

    Limits:
        Scores may be too high in one range and too low in another and still agree in the mean. It is about one
        label and these learners. It has no default gate.

    Args:
        bench: The samples.
        models: Learners to train; by default the two of the kind of data.
        positive: The positive class; by default the rarer of two real classes.
        method: Gaps between pairs of groups, or from each group to all rows.
        control: Group columns held fixed: gaps within each of their values.

    Yields:
        change: Change of the gap for each pair of groups and learner; the one farthest from 0 without a group.
        real: Largest gap of the model of real rows.
        synthetic: Largest gap of the model of the release.
        difference: The gap of each model as Fairlearn would define it.

    Source:
        Calibration in the large: Van Calster et al. (2019), doi:10.1186/s12916-019-1466-7; gaps and their names
        follow Fairlearn.
    """
    how = Comparison(method=method)
    assessed = assess(bench, CALIBRATED, models=models, positive=positive, how=how, control=control)
    yield from gap_values(assessed, evidence=calibration_errors)


@of_groups(
    WORST,
    Quantity(
        name="Accuracy in {group}",
        shown_as="points",
        measure=AGAINST,
        finding="A model trained on the release is less accurate in {group}",
        means="This group would be served worse than with real training data.",
        remedy="Give the generator more rows of the groups that lose accuracy, or keep real rows of them in training.",
    ),
    title="accuracy of the worst group",
)
def worst_group_accuracy(
    bench: Workbench,
    *,
    models: Models | None = None,
    positive: str | None = None,
    control: tuple[str, ...] = (),
) -> Iterator[Value]:
    """What the release costs each group in accuracy.

    One model is trained on the release, one on real rows; both are tested on the same real rows. It is defined
    for any number of classes, and for a model that decides the same for every row. Its evidence holds a metric
    frame: counts and rates of both models for every group, which ``counterproof.metric_frame(record)`` gives as
    a table.

    Formula:
        change of a group = accuracy (model of the release) − accuracy (model of real rows)
        minimax = min over groups of accuracy (release) − min over groups of accuracy (real)

    How to read it:
        0 means that no group loses. −0.05 means that five more of 100 rows of the group are predicted wrongly.

    Limits:
        Accuracy hides which errors are made; equalized odds sees them. It is about one label and these
        learners.

    Args:
        bench: The samples.
        models: Learners to train; by default the two of the kind of data.
        positive: The positive class of the metric frame; by default the rarer of two real classes.
        control: Group columns held fixed: each group within each of their values.

    Yields:
        change: Change of accuracy for each group and learner; the lowest without a group.
        real: Accuracy of the worst group with the model of real rows.
        synthetic: Accuracy of the worst group with the model of the release.
        minimax: By how much the release moves the worst accuracy of any group that is large enough, whichever
            that is.

    Source:
        Minimax fairness: Martinez, Bertran and Sapiro (2020), arXiv:2011.01821.
    """
    assessed = assess(bench, WORST, models=models, control=control)
    yield from gap_values(assessed, more=minimax_values, evidence=lambda ready: (metric_frame(ready, positive),))
