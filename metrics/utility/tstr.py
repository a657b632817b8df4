"""Does the release do the job of real data? Train on synthetic, test on real."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from counterproof.metrics.engine.learners import LEARNED, Models, chosen_learners
from counterproof.metrics.estimate import Better, Estimate, Evidence, Expected, Panel, normal_quantile
from counterproof.metrics.metric import Needs, Quantity, Tolerance, Value, metric
from counterproof.metrics.sample import Sample
from counterproof.metrics.shared.retraining import REFITS, Change, refit_spread, worst_change
from counterproof.metrics.statistics.decidability import CONFIDENCE, DECIDABLE
from counterproof.metrics.statistics.proportions import clopper_pearson
from counterproof.metrics.utility._scores import Score, asked_classes, scorable, scored
from counterproof.metrics.workbench import Workbench

LIMIT = 0.02
WIDEST = 0.06  # of AUROC: nobody would call a model of 0.74 as good as one of 0.80
CHANCE = 0.001  # a release of one class that comes up less often in faithful releases is a fact against it
LABELS, LOOSEST = 0.05, 0.075  # of AUROC, by which labels may follow less from the other columns than in real data
UNITS = {
    "gap": "AUROC",
    "gap_as_released": "AUROC",
    "trts_gap": "AUROC",
    "accuracy_gap": "share",
    "auroc": "AUROC",
    "accuracy": "share",
}


def _pair(bench: Workbench, learner: str) -> tuple[Score, Score]:
    real = scored(bench.test, bench.forecast(learner, bench.learning))
    return real, scored(bench.test, bench.forecast(learner, bench.synthetic_train))


def losses(bench: Workbench, learners: tuple[str, ...]) -> dict[tuple[str, str], float]:
    """What the candidate models lose against the baseline models, by field and learner."""
    found = {}
    for learner in learners:
        real, synthetic = _pair(bench, learner)
        found["gap", learner] = real.auroc - synthetic.auroc
        found["accuracy_gap", learner] = real.accuracy - synthetic.accuracy
    return found


def foreseen(bench: Workbench) -> str:
    """Why the loss cannot be decided, told from counts alone before models are trained; empty where it can.

    The AUROC of a fair model (0.8) varies as ``A (1 - A) / m`` at most, with ``m`` rows of the rarer class;
    two models on the same rows differ by about half its standard deviation.
    """
    labels = bench.test.labels
    classes, counts = np.unique(labels[labels != ""], return_counts=True)
    if len(classes) != 2:
        return ""
    rarer = int(counts.min())
    error = math.sqrt(0.8 * 0.2 / rarer) / 2
    if (normal_quantile(CONFIDENCE) + normal_quantile(DECIDABLE)) * error <= WIDEST:
        return ""
    return f"the rarer class of {bench.corpus.label} has {rarer} test rows"


@metric(
    id="utility.tstr",
    family="utility",
    title="train on synthetic, test on real",
    better="lower",
    algo=2,
    headline="gap",
    unit="AUROC",
    needs=Needs(label=True),
    reads=("features", "label"),
    null="halves",
    draws=REFITS,
    tolerances=(
        Tolerance(
            field="gap",
            operator="<=",
            limit=LIMIT,
            widest=WIDEST,
            cells=True,
            reason="a model trained on the release may lose two points of AUROC; at 5,000 census rows fresh real data "
            "stayed inside it in 50 of 50 draws, weak generators lose four points and more; where labels are hard to "
            "learn or rows few, real data differ by more, and up to six points are tolerated",
        ),
        Tolerance(
            field="trts_gap",
            operator="<=",
            limit=LABELS,
            widest=LOOSEST,
            cells=True,
            reason="a model of real rows may know labels of the release five points of AUROC worse than real ones: one "
            "label in twenty swapped costs four to six",
        ),
    ),
    preflight=foreseen,
    quantities={
        "gap": Quantity(
            name="Train on synthetic, test on real ({learner})",
            measure="{} of {unit} lost against training on real data",
            finding="A model ({learner}) trained on the release does worse on real data",
            means="The release does not replace real data for this task.",
            remedy="Look at label and features by class; improve the generator, or blend the release with real rows.",
        ),
        "trts_gap": Quantity(
            name="Train on real, test on synthetic ({learner})",
            measure="{} of {unit} lost against testing on real data",
            finding="A model of real data ({learner}) knows the labels of the release worse than real ones",
            means="Labels of the release do not belong to their rows, in part.",
            remedy="Check how labels were attached to the generated rows.",
        ),
    },
)
def tstr(bench: Workbench, *, models: Models | None = None) -> Iterator[Value]:
    """What models trained on the release lose on real rows, against models trained on real rows.

    The same learners are trained on real rows and on as many release rows, and tested on the same real rows
    that neither saw. AUROC of more than two classes is the mean of each class against the rest. Intervals hold
    the paired error of the test rows and the spread of training anew.

    Formula:
        gap = AUROC(trained on real, tested on real) − AUROC(trained on release, tested on real)
        trts_gap = AUROC(trained on real, tested on real) − AUROC(trained on real, tested on release)

    How to read it:
        0 means that the release does the job of real data; above 0 it is worse. The worst learner counts.
        ``gap`` holds the release against models of as few real rows, because a small release is not a bad one;
        ``gap_as_released`` says what a user loses who has the release in place of all real rows. ``trts_gap``
        sees labels that were swapped or drawn without regard to the other columns, which cost a model trained
        on them little.

    Limits:
        It is about one task, the label, and these learners. A learner that half of the real rows teach nothing
        is listed as "too few rows". No default gate looks at ``gap_as_released``.

    Args:
        bench: The samples.
        models: Learners to train; by default the two of the kind of data.

    Yields:
        gap: Loss of AUROC at equal numbers of rows, for each learner and for the worst.
        gap_as_released: Loss of AUROC against models of all real training rows.
        trts_gap: Loss of AUROC of a model of real rows, tested on the release.
        accuracy_gap: Loss of accuracy at equal numbers of rows.
        real_auroc: AUROC of the model of real rows.
        real_accuracy: Accuracy of the model of real rows.
        synthetic_auroc: AUROC of the model of the release.
        synthetic_accuracy: Accuracy of the model of the release.

    Source:
        Esteban et al. (2017), arXiv:1706.02633; DeLong et al. (1988), doi:10.2307/2531595, for the paired
        error; for more classes influence values of the macro average.
    """
    learners = chosen_learners(bench.corpus, models)
    problem, alarm = _problem(bench, learners)
    if problem:
        for group in ((), *((("learner", learner),) for learner in learners)):
            yield Value(field="gap", group=group, status="not_assessable", reason=problem, alarm=alarm)
    elif bench.is_null:
        yield from _null_values(bench, learners)
    else:
        yield from _measured(bench, learners)


def _problem(bench: Workbench, learners: tuple[str, ...]) -> tuple[str, str]:
    """Why nothing can be measured, and whether the release is to blame."""
    label = bench.corpus.label
    present, _ = scorable(bench.test.labels)
    if len(present) < 2:
        return f"the real test rows hold fewer than two classes of {label} with two rows or more", ""
    if _labelled(bench.test).sources < 2:
        return "the labelled real test rows come from one source: how far another would differ cannot be told", ""
    for learner in learners:
        real, synthetic = (bench.forecast(learner, rows) for rows in (bench.learning, bench.synthetic_train))
        if real.degenerate:
            return f"no model can be trained on the real rows: {real.reason}", ""
        if synthetic.degenerate:
            if bench.is_null:
                return f"no model can be trained on half of the real rows: {synthetic.reason}", ""
            blame = f"the release cannot train a model: {synthetic.reason}"
            return blame, blame if chance_of_one_class(bench.learning, bench.synthetic_train) < CHANCE else ""
    return "", ""


def chance_of_one_class(real: Sample, made: Sample) -> float:
    """How probable it is that as many sources as ``made`` has, drawn as ``real`` is, hold one class only.

    Where no row of ``made`` has a label: how probable it is that none of them has.
    """
    labelled = _labelled(made)
    if not len(labelled):
        return float((real.labels == "").mean() ** made.sources)
    _, counts = np.unique(_labelled(real).labels, return_counts=True)
    return float(((counts / counts.sum()) ** labelled.sources).sum())


def _labelled(sample: Sample) -> Sample:
    return sample.take(np.flatnonzero(sample.labels != ""), f"labelled {sample.name}")


def _null_values(bench: Workbench, learners: tuple[str, ...]) -> Iterator[Value]:
    found = losses(bench, learners)
    for (field, learner), loss in found.items():
        yield Value(estimate=Estimate.point(loss, method="one re-split"), field=field, group=(("learner", learner),))
    for field in ("gap", "accuracy_gap"):
        yield Value(
            estimate=Estimate.point(max(found[field, learner] for learner in learners), method="one re-split"),
            field=field,
        )


def _measured(bench: Workbench, learners: tuple[str, ...]) -> Iterator[Value]:
    spread = refit_spread(bench, lambda view: losses(view, learners))
    taught = tuple(learner for learner in learners if not _half_teaches_nothing(bench, learner))
    pairs = {learner: _pair(bench, learner) for learner in learners}
    everything = all_learning_rows(bench)
    changes: dict[str, list[Change]] = {"gap": [], "accuracy_gap": [], "gap_as_released": []}
    for learner in taught:
        real, synthetic = pairs[learner]
        whole = scored(bench.test, bench.forecast(learner, everything))
        values = {
            "gap": (real.auroc - synthetic.auroc, real.area_error(synthetic)),
            "accuracy_gap": (real.accuracy - synthetic.accuracy, real.accuracy_error(synthetic)),
            # A model of all rows varies less with its training rows: the spread is an upper bound.
            "gap_as_released": (whole.auroc - synthetic.auroc, whole.area_error(synthetic)),
        }
        for field, (value, sampling) in values.items():
            refits = spread["accuracy_gap" if field == "accuracy_gap" else "gap", learner]
            changes[field].append(
                Change(
                    group=(("learner", learner),),
                    value=value,
                    sampling=sampling,
                    refit=refits.spread,
                    draws=refits.draws,
                )
            )
    for field, several in changes.items():
        yield from _changes(bench, field, several, pairs, learners, everything)
    yield from _tried_on_release(bench, learners)
    for learner, scores in pairs.items():
        yield from _levels(bench, learner, scores)


def _tried_on_release(bench: Workbench, learners: tuple[str, ...]) -> Iterator[Value]:
    """Train on real, test on synthetic: what models of real rows know less of the labels of the release.

    One model on two samples: the luck of its training is on both sides, and only the rows differ.
    """
    release = bench.synthetic_train
    sizes = _sizes(bench, bench.learning)
    asked = [
        name for name in asked_classes(bench.test.labels) if 0 < (release.labels == name).sum() < sizes["studying"]
    ]
    for learner in learners:
        group = (("learner", learner),)
        if not asked:
            reason = f"the release holds none of the classes of {bench.corpus.label} beside another"
            yield Value(field="trts_gap", group=group, status="not_assessable", reason=reason, better="lower")
            continue
        known = bench.forecast(learner, bench.learning)
        real = scored(bench.test, known, asked=asked)
        made = scored(release, bench.forecast(learner, bench.learning, trial=release), asked=asked)
        value, error = real.auroc - made.auroc, math.hypot(real.area_error(), made.area_error())
        alike = real.area_error() * math.sqrt(1 + sizes["trial"] / max(sizes["learning"], 1))
        yield Value(
            estimate=Estimate.normal(value, error, level=bench.level, method="DeLong, one model on two samples"),
            field="trts_gap",
            group=group,
            n=sizes,
            better="lower",
            unit=UNITS["trts_gap"],
            expected=Expected(value=0.0, spread=alike, error=alike),
        )


def _sizes(bench: Workbench, learning: Sample) -> dict[str, int]:
    """Labelled rows by what they are for."""
    roles = {"learning": learning, "studying": bench.synthetic_train, "trial": bench.test}
    return {role: int((sample.labels != "").sum()) for role, sample in roles.items()}


def faithful_gap(bench: Workbench, learner: str) -> Expected:
    """What a faithful release would show: the luck of two trainings, and the test rows that both are tried on.

    Models of two halves of the real rows stand for the two models; of half the rows they vary twice as much.
    """
    pairs = [_pair(bench.halves(draw), learner) for draw in range(REFITS)]
    refit = math.sqrt(float(np.mean([(real.auroc - made.auroc) ** 2 for real, made in pairs])) / 2)
    sampling = float(np.mean([real.area_error(made) for real, made in pairs])) * math.sqrt(0.5)
    interval = Change(group=(), value=0.0, sampling=sampling, refit=refit, draws=2 * REFITS).estimate(bench.level)
    error = interval.high / normal_quantile(0.5 + bench.level / 2)
    return Expected(value=0.0, spread=math.hypot(refit, sampling), error=error)


def _changes(
    bench: Workbench,
    field: str,
    several: list[Change],
    pairs: Mapping[str, tuple[Score, Score]],
    learners: tuple[str, ...],
    everything: Sample,
) -> Iterator[Value]:
    """One field: the worst learner, then each; of learners that half of the rows teach nothing, that it is so."""
    headline, as_released = field == "gap", field == "gap_as_released"
    learning = everything if as_released else bench.learning
    told = {change.group[0][1] for change in several}
    few = f"too few rows: half of the {len(bench.learning)} real rows that models learn from teach nothing"
    if several:
        yield _value(
            bench,
            field,
            worst_change(several, "lower", bench.level),
            learning=learning,
            panels=(_forest(bench, pairs, several),) if headline else (),
            evidence=(_by_class(bench, pairs),) if headline else (),
            reason=f"real models learned from {len(learning):,} rows" if as_released else "",
        )
    else:
        yield Value(field=field, status="not_assessable", reason=few, decidable=False, better="lower")
    for change in several:
        expected = faithful_gap(bench, str(change.group[0][1])) if headline else None
        estimate = change.estimate(bench.level)
        yield _value(bench, field, estimate, learning=learning, group=change.group, expected=expected)
    for learner in learners:
        if learner not in told:
            group = (("learner", learner),)
            yield Value(field=field, group=group, status="not_assessable", reason=few, decidable=False, better="lower")


def all_learning_rows(bench: Workbench) -> Sample:
    """All real rows that models may learn from, where those at equal n are fewer."""
    rows = np.setdiff1d(bench.real.rows, bench.reference.rows)
    if len(rows) <= len(bench.learning) or len(bench.learning) >= LEARNED:
        return bench.learning
    everything = Sample("all learning rows", rows, bench.corpus)
    if len(rows) <= LEARNED:
        return everything
    return everything.take(np.sort(bench.generator("all learning rows").permutation(len(rows))[:LEARNED]), "learning")


def _half_teaches_nothing(bench: Workbench, learner: str) -> bool:
    """Whether models of most halves of the real rows say the same of every test row.

    How far training anew moves a model is told by such halves; where they learn nothing, they agree without
    knowing anything, and the error of the gap is not known.
    """
    flat = 0
    for view in map(bench.halves, range(REFITS)):
        models = (view.forecast(learner, side) for side in (view.learning, view.synthetic_train))
        flat += any(float(np.ptp(model.probability, axis=0).max()) == 0 for model in models)
    return 2 * flat >= REFITS


def _value(
    bench: Workbench,
    field: str,
    estimate: Estimate,
    *,
    better: Better = "lower",
    learning: Sample | None = None,
    **more: Any,
) -> Value:
    sizes = _sizes(bench, learning or bench.learning)
    unit = UNITS[field.removeprefix("real_").removeprefix("synthetic_")]
    return Value(estimate=estimate, field=field, n=sizes, better=better, unit=unit, **more)


def _levels(bench: Workbench, learner: str, scores: tuple[Score, Score]) -> Iterator[Value]:
    """AUROC and accuracy of both models, with the interval of the trial rows alone."""
    for role, score in zip(("real", "synthetic"), scores, strict=True):
        group = (("learner", learner),)
        yield _value(bench, f"{role}_auroc", _area(bench, score), better="higher", group=group)
        correct, n = int(score.correct.sum()), len(score.correct)
        accuracy = clopper_pearson(correct, n, bench.level)
        yield _value(bench, f"{role}_accuracy", accuracy, better="higher", group=group)


def _area(bench: Workbench, score: Score) -> Estimate:
    whole = Estimate.normal(score.auroc, score.area_error(), level=bench.level, method="DeLong, trial rows")
    low, high = max(whole.low, 0.0), min(whole.high, 1.0)
    return Estimate(value=whole.value, low=low, high=high, level=bench.level, method=whole.method)


def _forest(bench: Workbench, pairs: Mapping[str, tuple[Score, Score]], changes: list[Change]) -> Panel:
    """Both models of each learner; the change is turned to synthetic minus real, as readers draw it."""
    entries = []
    for change in changes:
        learner = str(change.group[0][1])
        (real, synthetic), gap = pairs[learner], change.estimate(bench.level)
        entries.append(
            {
                "label": learner,
                "real": _ends(_area(bench, real)),
                "synthetic": _ends(_area(bench, synthetic)),
                "change": {"value": -gap.value, "low": -gap.high, "high": -gap.low},
            }
        )
    return Panel(
        kind="forest",
        title="Models trained on real rows and on the release, tried on the same real rows",
        data={"limit": -LIMIT, "unit": "AUROC", "entries": entries},
        note="The change is synthetic minus real: left of the limit the release loses too much.",
    )


def _ends(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _by_class(bench: Workbench, pairs: Mapping[str, tuple[Score, Score]]) -> Evidence:
    labels = bench.test.labels
    rows = []
    for learner, (real, synthetic) in pairs.items():
        for name, area in real.areas.items():
            count = int((labels == name).sum())
            if count >= bench.small_cell:
                rows.append((learner, name, count, area, synthetic.areas[name], area - synthetic.areas[name]))
    rows.sort(key=lambda row: -row[-1])
    return Evidence(
        title=f"Which classes of {bench.corpus.label} the release teaches worst",
        columns=("model", "class", "trial rows", "AUROC trained on real", "trained on the release", "loss"),
        rows=tuple(rows[:20]),
        note="Each class against the rest, the largest loss first.",
    )
