"""The plugin contract: what a metric declares, and how metrics are found.

A metric is a function of a :class:`~counterproof.metrics.workbench.Workbench` that yields
:class:`Value` s. The engine owns the rest: it calls the same function on real re-splits for the
floor and on permuted data for the anchor, and turns the values into measurements.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter, ValidationError

from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Better, Estimate, Evidence, Expected, Group, Panel, Status, Telling
from counterproof.metrics.sample import Modality

if TYPE_CHECKING:
    from counterproof.metrics.workbench import Workbench


Family = Literal["fidelity", "coverage", "leakage", "fairness", "utility"]
FAMILIES: tuple[str, ...] = get_args(Family)
Null = Literal["resplit", "membership", "halves", "none"]
Plant = Literal["copies", "near_copies", "rare_values", "filtered"]
PLANTS: tuple[Plant, ...] = get_args(Plant)
View = Literal["features", "columns", "texts", "dates", "all", "label", "groups"]
VIEWS: tuple[View, ...] = get_args(View)
ENTRY_POINTS = "counterproof.metrics"
Count = Annotated[int, Field(ge=1)]  # an option that is refused before the run where it is 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a metric yields: one quantity at one place.

    Leave ``estimate`` None and say ``status`` and ``reason`` where it could not be measured.
    ``claims`` are the fewest planted leaks, by kind, that the metric says it would find here: the
    engine plants as many, see ``controls`` of :class:`Metric`. ``expected`` is what a faithful release
    would show, where the metric knows that better than re-splits of real rows tell. ``left_out`` are columns
    of a table that the metric reads as a rule (see ``reads`` of :class:`Metric`), and could not read here.
    """

    estimate: Estimate | None = None
    field: str = "value"
    group: Group = ()
    n: Mapping[str, int] = dataclasses.field(default_factory=dict)
    better: Better | None = None
    unit: str | None = None
    status: Status = "measured"
    reason: str = ""
    alarm: str = ""
    decidable: bool = True
    expected: Expected | None = None
    evidence: tuple[Evidence, ...] = ()
    panels: tuple[Panel, ...] = ()
    claims: Mapping[Plant, int] = dataclasses.field(default_factory=dict)
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a metric cannot do without.

    Attributes:
        holdout: Real rows that the generator never saw.
        label: A label column.
        groups: Group columns.
        modalities: Kinds of data it is defined on.
        smallest_n: Rows per side below which its gate cannot pass.
    """

    holdout: bool = False
    label: bool = False
    groups: bool = False
    modalities: frozenset[Modality] = frozenset({"table", "image", "features"})
    smallest_n: int = 2


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A gate of the default policy, with its reason.

    Attributes:
        field: The gated field; ``excess`` is made by the engine from value and floor.
        operator: ``<=`` or ``>=``.
        limit: The limit to pass; also the limit to fail unless ``fail`` is given.
        reason: Why this much.
        cells: Judge every group of the field instead of the data set as a whole.
        fail: Another limit to fail.
        level: ``warn`` gates never change an exit code.
        widest: How far the limit may be widened where real data of this size differ by more; twice the
            tolerance without it.
    """

    field: str
    operator: Literal["<=", ">="]
    limit: float
    reason: str
    cells: bool = False
    fail: float | None = None
    level: Literal["fail", "warn"] = "fail"
    widest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """How sentences speak of one field of a metric.

    ``name``, ``finding`` and ``measure`` are templates: ``{column}`` stands for that part of the value's group,
    ``{group}`` for the group as a whole.

    Attributes:
        name: The quantity by the name its users know: ``Detectability by a classifier ({learner})``.
        measure: What the number is; ``{}`` is the value with its interval, ``{unit}`` the value's unit:
            ``AUROC {}``, ``{} of real rows``.
        shown_as: As a number, as a share in percent, or as a difference of shares in points.
        finding: What a failure says, as a statement: ``A classifier ({learner}) tells release rows from real rows``.
        means: What a failure means for those who use the release, in one sentence.
        remedy: What to do about it, in one sentence.
        telling: What kind of failure it is. The verdict is told by the most telling one: columns that do not match,
            then copies, then what is missing, then a single column (it explains what is wrong with all together), then
            what is off by most times its tolerance, then details.
        remarked: Whether the metric's remark on a group belongs into the sentence.
    """

    name: str
    measure: str = "{}"
    shown_as: Literal["number", "percent", "points"] = "number"
    finding: str = ""
    means: str = ""
    remedy: str = ""
    telling: Telling = "loss"
    remarked: bool = False


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A measured question, as declared by :func:`metric`.

    Attributes:
        id: ``family.name``, or ``vendor.name`` for plugins.
        family: Which of the five questions it answers.
        title: The name in prose.
        function: Yields values for a workbench.
        algo: Version of the algorithm; a change invalidates caches and baselines.
        better: Which direction is good.
        headline: The field that a gate without a field means.
        unit: What the numbers are in.
        needs: What it cannot do without.
        null: How the engine makes the floor: ``resplit`` re-splits real rows into reference and
            candidate, ``membership`` re-splits train and holdout against the same release,
            ``halves`` trains on halves of the real training rows, ``none`` has no floor.
        draws: How many re-splits.
        anchored: Judge the excess on the scale of column-permuted data (unbounded metrics).
        tolerances: Its gates in the default policy.
        controls: Leaks that it claims to find, each with the field that must show it. The engine plants
            them in a copy of the release; a field that misses them is blind and cannot pass a gate.
        preflight: What its gates cannot decide at these numbers of rows, told from counts of real rows before any
            work is done; an empty text where they can.
        least: The least that its true values can be (0 for a distance), where an estimate without bias may fall below
            it by chance; readers are shown the least, the record holds the number.
        reads: Which columns of a table it looks at: those with ``features``, the ``columns`` that are compared one
            by one (numbers, categories, dates), ``texts`` (and identifiers), ``dates``, ``all``, ``label`` or
            ``groups``; of it the audit says which columns were judged.
        quantities: How sentences speak of its fields; without it, of ``title`` and the field's name.
    """

    id: str
    family: Family
    title: str
    function: Callable[..., Iterable[Value]]
    algo: int = 1
    better: Better = "lower"
    headline: str = "value"
    unit: str = ""
    needs: Needs = dataclasses.field(default_factory=Needs)
    null: Null = "resplit"
    draws: int = 20
    anchored: bool = False
    tolerances: tuple[Tolerance, ...] = ()
    controls: Mapping[Plant, str] = dataclasses.field(default_factory=dict)
    preflight: Callable[[Workbench], str] | None = None
    least: float | None = None
    reads: frozenset[View] = frozenset({"features"})
    quantities: Mapping[str, Quantity] = dataclasses.field(default_factory=dict)

    def parameters(self) -> dict[str, inspect.Parameter]:
        """The keyword-only options of the function: the metric's typed parameters."""
        signature = inspect.signature(self.function, eval_str=True)
        return {n: p for n, p in signature.parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}

    def configure(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Defaults overlaid with validated options.

        Raises:
            MetricError: An option is unknown or of another type.
        """
        known = self.parameters()
        params = {name: p.default for name, p in known.items()}
        for name, given in options.items():
            if name not in known:
                raise MetricError(f"{self.id} has no option {name!r}; it has {', '.join(known) or 'none'}")
            try:
                params[name] = TypeAdapter(known[name].annotation).validate_python(given)
            except ValidationError as error:
                problem = error.errors()[0]["msg"]
                raise MetricError(f"{self.id}: option {name} = {given!r}: {problem}") from None
            if isinstance(given, bool) and not isinstance(params[name], bool):  # True counts as 1 elsewhere
                raise MetricError(f"{self.id}: option {name} = {given!r}: a number is wanted")
        return params

    def values(self, bench: Workbench, params: Mapping[str, Any]) -> Iterator[Value]:
        """Run the function once."""
        yield from self.function(bench, **params)


def metric(
    *,
    id: str,
    family: Family,
    title: str = "",
    algo: int = 1,
    better: Better = "lower",
    headline: str = "value",
    unit: str = "",
    needs: Needs | None = None,
    null: Null = "resplit",
    draws: int = 20,
    anchored: bool = False,
    tolerances: Iterable[Tolerance] = (),
    controls: Iterable[Plant] | Mapping[Plant, str] = (),
    preflight: Callable[[Workbench], str] | None = None,
    least: float | None = None,
    reads: Iterable[View] = ("features",),
    quantities: Mapping[str, Quantity] | None = None,
) -> Callable[[Callable[..., Iterable[Value]]], Metric]:
    """Declare a metric; see :class:`Metric` for the arguments.

    ``controls`` may name the kinds alone: the headline must show them.

    >>> @metric(id="acme.rows", family="coverage", better="higher", null="none")
    ... def rows(bench):
    ...     yield Value(estimate=Estimate(value=1.0, low=1.0, high=1.0))
    >>> rows.id, rows.headline
    ('acme.rows', 'value')
    """
    if family not in FAMILIES:
        raise MetricError(f"{id}: family {family!r} is none of {', '.join(FAMILIES)}")

    shown = dict(controls) if isinstance(controls, Mapping) else dict.fromkeys(controls, headline)
    for kind in shown:
        if kind not in PLANTS:
            raise MetricError(f"{id}: control {kind!r} is none of {', '.join(PLANTS)}")
    for view in (views := frozenset(reads)):
        if view not in VIEWS:
            raise MetricError(f"{id}: it reads {view!r}, which is none of {', '.join(VIEWS)}")

    def declare(function: Callable[..., Iterable[Value]]) -> Metric:
        return Metric(
            id=id,
            family=family,
            title=title or id.rpartition(".")[2].replace("_", " "),
            function=function,
            algo=algo,
            better=better,
            headline=headline,
            unit=unit,
            needs=needs or Needs(),
            null=null,
            draws=draws,
            anchored=anchored,
            tolerances=tuple(tolerances),
            controls=shown,
            preflight=preflight,
            least=least,
            reads=views,
            quantities=quantities or {},
        )

    return declare


@cache
def installed() -> dict[str, EntryPoint]:
    """Every registered metric by id, not yet imported.

    Raises:
        MetricError: Two packages register the same id.
    """
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda e: e.name):
        other = found.get(entry.name)
        if other is not None and other.value != entry.value:
            raise MetricError(f"two packages register the metric {entry.name}: {other.value} and {entry.value}")
        found[entry.name] = entry
    return found


def load(identifier: str) -> Metric:
    """Import one metric by its id.

    Raises:
        MetricError: No such metric, it cannot be imported, or it is registered under another id.
    """
    entry = installed().get(identifier)
    if entry is None:
        raise MetricError(f"no metric is called {identifier}")
    try:
        found = entry.load()
    except Exception as error:
        raise MetricError(f"{identifier} ({entry.value}) cannot be imported: {error}") from error
    if not isinstance(found, Metric) or found.id != identifier:
        raise MetricError(f"{entry.value} is registered as {identifier} but is not a metric of that id")
    return found
