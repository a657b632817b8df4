"""Which columns of a table a metric looked at, from what it declares and what it gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from counterproof.metrics.estimate import Measurement
from counterproof.metrics.metric import Metric, View
from counterproof.metrics.sample import Corpus


def columns_read(metric: Metric, measured: Sequence[Measurement], corpus: Corpus) -> list[str]:
    """The columns that the metric reads, where it gave a value or an alarm; none of a corpus without columns."""
    if not any(one.estimate is not None or one.alarm for one in measured):
        return []
    left_out = {name for one in measured for name in one.left_out}
    read = {name for view in metric.reads for name in _VIEWS[view](corpus)}
    return [name for name in corpus.kinds if name in read - left_out]


def _compared(corpus: Corpus) -> Sequence[str]:
    return () if corpus.mixed is None else corpus.mixed.columns


_VIEWS: Mapping[View, Callable[[Corpus], Sequence[str]]] = {
    "features": lambda corpus: corpus.block_names,
    "columns": _compared,
    "texts": lambda corpus: corpus.texts,
    "dates": lambda corpus: [name for name, kind in corpus.kinds.items() if kind == "datetime"],
    "all": lambda corpus: list(corpus.kinds),
    "label": lambda corpus: (corpus.label,) if corpus.label else (),
    "groups": lambda corpus: list(corpus.groups),
}
