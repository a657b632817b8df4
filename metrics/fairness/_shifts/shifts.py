"""Changes of a population's mix, tried on the labelled real test rows: the worst by group, and a stated one."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.shared_work import Work
from counterproof.metrics.estimate import Better
from counterproof.metrics.fairness._shifts.population import Mix, mix_of
from counterproof.metrics.sample import Floats, Rows, Sample
from counterproof.metrics.shared.partitions import CROWD, Partition, partitions
from counterproof.metrics.statistics.cvar import Risk, Tail, folds_of
from counterproof.metrics.workbench import Workbench

Loss = Literal["errors", "squared errors"]
FIELDS: Mapping[Loss, str] = {"errors": "change", "squared errors": "loss_change"}
BETTER: Mapping[Loss, Better] = {"errors": "higher", "squared errors": "lower"}
SIGN: Mapping[Loss, float] = {"errors": -1.0, "squared errors": 1.0}  # what is reported is accuracy
UNITS: Mapping[Loss, str] = {"errors": "share", "squared errors": "Brier score"}
LEAST = 100  # rows that a mix must be worth: intervals were simulated from there on
Key = tuple[str, str, Loss]
TRUTH: Work[NDArray[np.intp]] = Work("truth of the test rows")
SHIFTS: Work[tuple[Shift, ...]] = Work("changes of the mix")
CHANGES: Work[dict[Key, float]] = Work("losses under changes of the mix")


@dataclass(frozen=True, eq=False, kw_only=True)
class Shift:
    """One change of the population.

    Attributes:
        name: As readers know it.
        mix: What it makes of the rows.
        part: The groups that it weighs, for a worst one.
    """

    name: str
    mix: Tail | Mix
    part: Partition | None = None

    @property
    def by(self) -> str:
        """The groups' columns as one name."""
        return self.part.name if self.part else ""

    @property
    def enough(self) -> bool:
        """Whether it is worth enough rows to be judged."""
        return self.mix.effective >= LEAST

    @property
    def least_error(self) -> float:
        """Rows that all agree do not know a mean exactly (Bonett and Price 2012, doi:10.3102/1076998611411915)."""
        return math.sqrt(2) / (self.mix.effective + 2)


@dataclass(frozen=True, eq=False, kw_only=True)
class ShiftedRows:
    """The labelled real test rows, under changes of their mix."""

    bench: Workbench
    learners: tuple[str, ...]
    alphas: tuple[float, ...]
    population: Mapping[str, Mapping[str, float]] | None

    @cached_property
    def rows(self) -> Rows:
        """Positions of the labelled test rows."""
        return np.flatnonzero(self.bench.test.labels != "")

    @cached_property
    def sample(self) -> Sample:
        """Those rows."""
        return self.bench.test.take(self.rows, f"labelled {self.bench.test.name}")

    @property
    def clusters(self) -> NDArray[np.intp] | None:
        """Their sources."""
        clusters = self.bench.corpus.clusters
        return None if clusters is None else clusters[self.sample.rows]

    @cached_property
    def truth(self) -> Rows:
        """``(n,)`` position of each row's label among all labels."""

        def positions() -> Rows:
            everything = self.bench.corpus.labels
            assert everything is not None
            return np.searchsorted(np.unique(everything[everything != ""]), self.sample.labels).astype(np.intp)

        return self.bench.shared(TRUTH.about(self.bench.test), positions)

    @property
    def _options(self) -> dict[str, Hashable]:
        return {"alphas": self.alphas, "population": repr(self.population)}

    @property
    def shifts(self) -> tuple[Shift, ...]:
        """Every change of the mix; the same for all views."""
        return self.bench.shared(SHIFTS.about(self.bench.test, **self._options), lambda: tuple(self._all_shifts()))

    @property
    def crowded(self) -> dict[Partition, int]:
        """Groupings of too many groups to find the worst of, with their number."""
        return {part: count for part in self._parts if (count := self._groups(part)) > CROWD}

    @property
    def _parts(self) -> tuple[Partition, ...]:
        """All but those by the label: of rows of one class, a model is right or wrong by definition."""
        return tuple(part for part in partitions(self.bench) if self.bench.corpus.label not in part.columns)

    def _groups(self, part: Partition) -> int:
        return int(np.count_nonzero(part.counts(self.sample)))

    def _all_shifts(self) -> Iterator[Shift]:
        folds = folds_of(self.sample.units, np.random.default_rng([self.bench.seed, 1755]))
        for part in self._parts:
            if self._groups(part) > CROWD:
                continue
            codes = part.codes[self.sample.rows]
            for alpha in self.alphas:
                tail = Tail(codes=codes, groups=len(part), folds=folds, alpha=alpha)
                yield Shift(name=f"worst {100 * (1 - alpha):.3g} % by {part.name}", mix=tail, part=part)
        if self.population is not None:
            groups = self.bench.corpus.groups
            values = {column: self.sample.group(column) for column in groups}
            yield Shift(name="stated population", mix=mix_of(self.population, values, groups))

    def losses(self, view: Workbench, learner: str, trained_on: Sample, loss: Loss) -> Floats:
        """``(n,)`` losses of a model on the labelled test rows."""
        probability = view.forecast(learner, trained_on).probability[self.rows]
        if loss == "errors":
            wrong: Floats = (probability.argmax(1) != self.truth).astype(np.float64)
            return wrong
        probability[np.arange(len(self.rows)), self.truth] -= 1  # a copy: rows were picked
        squared: Floats = np.einsum("ij,ij->i", probability, probability)
        return squared

    def changes(self, view: Workbench) -> dict[Key, float]:
        """What the models of a view lose under every shift, the candidate's against the real one's."""
        samples = (self.bench.test, view.learning, view.synthetic_train)
        key = CHANGES.about(*samples, learners=self.learners, **self._options)
        return view.shared(key, lambda: self._changed(view))

    def _changed(self, view: Workbench) -> dict[Key, float]:
        changes: dict[Key, float] = {}
        for learner in self.learners:
            for loss in FIELDS:
                real, synthetic = (
                    self.losses(view, learner, rows, loss) for rows in (view.learning, view.synthetic_train)
                )
                tables: dict[str, tuple[Floats, Floats]] = {}
                for shift in self.shifts:
                    if isinstance(shift.mix, Mix):
                        changes[shift.name, learner, loss] = shift.mix.value(synthetic) - shift.mix.value(real)
                        continue
                    if shift.by not in tables:  # one pass for all alphas
                        tables[shift.by] = shift.mix.table(real), shift.mix.table(synthetic)
                    before, after = map(shift.mix.middle, tables[shift.by])
                    changes[shift.name, learner, loss] = after - before
        return changes

    def risks(self, shift: Shift, learner: str, loss: Loss) -> tuple[Risk, Risk]:
        """What the model of real rows and that of the release lose under a shift."""
        real, synthetic = (
            shift.mix.risk(self.losses(self.bench, learner, rows, loss))
            for rows in (self.bench.learning, self.bench.synthetic_train)
        )
        return real, synthetic

    @property
    def sizes(self) -> dict[str, int]:
        """Labelled rows behind the models and their test."""
        roles = {"learning": self.bench.learning, "studying": self.bench.synthetic_train, "trial": self.bench.test}
        return {role: int((sample.labels != "").sum()) for role, sample in roles.items()}
