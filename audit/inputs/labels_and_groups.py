"""Labels, groups and sources of rows as strings and numbers, from columns in canonical form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from counterproof.inputs.alignment import A, Stack, Wanted, reconcile
from counterproof.inputs.findings import Finding, remark
from counterproof.inputs.forms import Form, text_of
from counterproof.inputs.tables import Table
from counterproof.metrics.sample import Rows
from counterproof.refusal import Refusal

FEW = 12  # a numeric group column with more distinct values is cut into quintiles
CROWD = 200


@dataclass(frozen=True, eq=False, kw_only=True)
class Attributes:
    """What rows are grouped by.

    Attributes:
        label: Name of the label column, empty where there are no labels.
        labels: ``(n,)`` labels; missing is the empty string.
        no_labels: Why there are none although a label was asked for.
        groups: ``(n,)`` values by group column.
        clusters: ``(n,)`` source of each row.
        findings: How they were changed, in sentences.
    """

    label: str = ""
    labels: NDArray[np.str_] | None = None
    no_labels: str = ""
    groups: dict[str, NDArray[np.str_]] = field(default_factory=dict)
    clusters: NDArray[np.intp] | None = None
    findings: list[str] = field(default_factory=list)


def attributes_of(stack: Stack, wanted: Wanted) -> Attributes:
    """The attributes that were asked for."""
    findings: list[str] = []
    real = np.concatenate([rows for role, rows in stack.roles.items() if role != "synthetic"])
    labels, no_labels = None, _why_no_labels(stack, wanted.label)
    if no_labels:
        findings.append(Finding(f"utility and fairness were not judged: {no_labels}", 1.0))
    elif wanted.label is not None:
        labels = _strings(stack.frame[wanted.label])
    label = "" if wanted.label is None or no_labels else wanted.label
    groups = {name: _group(name, stack, real, findings) for name in wanted.groups}
    clusters = None if wanted.cluster is None else _clusters(stack.frame[wanted.cluster], stack.roles)
    return Attributes(
        label=label, labels=labels, no_labels=no_labels, groups=groups, clusters=clusters, findings=findings
    )


def _why_no_labels(stack: Stack, label: str | None) -> str:
    """Why the wanted label tells no classes apart, if so."""
    if label is None:
        return ""
    if label not in stack.kinds:
        return next(one.sentence for one in stack.schema if one.column == label)
    if stack.kinds[label] in ("number", "datetime"):
        return f"{label!r} is {A[stack.kinds[label]]}"
    return ""


def described(tables: Mapping[str, tuple[Table | None, str]], wanted: Wanted) -> Attributes:
    """Labels, groups and sources of rows that are no table, from the tables beside them.

    Raises:
        Refusal: A wanted column stands in no table of a role.
    """
    if not wanted.columns:
        return Attributes()
    chosen: dict[str, Table] = {}
    for role, (table, source) in tables.items():
        if table is None:
            name, use = next(iter(wanted.columns.items()))
            raise Refusal(f"{role} ({source}) has no table beside it to take the {use} {name!r} from")
        kept = [name for name in wanted.columns if name in table.frame.columns]
        chosen[role] = Table(table.frame[kept], table.source, table.typed)
    stack = reconcile(chosen, wanted)
    found = attributes_of(stack, wanted)
    return Attributes(
        label=found.label,
        labels=found.labels,
        no_labels=found.no_labels,
        groups=found.groups,
        clusters=found.clusters,
        findings=stack.findings + found.findings,
    )


def _strings(column: pd.Series[Any]) -> NDArray[np.str_]:
    sort = {"f": "number", "M": "datetime"}.get(column.dtype.kind, "text")
    texts = text_of(Form(sort, column))  # type: ignore[arg-type]
    return np.array(["" if text is None else text for text in texts], dtype=np.str_)


def _group(name: str, stack: Stack, real: Rows, findings: list[str]) -> NDArray[np.str_]:
    column = stack.frame[name]
    if column.dtype != object and column.iloc[real].nunique() > FEW:
        findings.append(remark(f"group {name!r} has many values: cut into fifths of the real data"))
        values = _quintiles(column, real)
    else:
        values = _strings(column)
    found, counts = np.unique(values[real][values[real] != ""], return_counts=True)
    alone = int((counts == 1).sum())
    if alone:
        what = "one value" if alone == 1 else f"{alone} values"
        findings.append(f"group {name!r} has {what} with a single real row: too few to say anything of")
    if len(found) == 1:
        findings.append(f"group {name!r} has one value in the real data: there is nothing to compare")
    if len(found) > CROWD:
        findings.append(f"group {name!r} has {len(found)} values: most are too small to judge")
    return values


def _quintiles(column: pd.Series[Any], real: Rows) -> NDArray[np.str_]:
    """Quintiles of the real data; the outer ones are open, so that every synthetic value falls into one."""
    dated = column.dtype.kind == "M"
    values = column.to_numpy()
    gone = np.isnat(values) if dated else np.isnan(values)
    plain = values.astype(np.int64).astype(float) if dated else values
    known = plain[real][~gone[real]]
    edges = np.unique(np.quantile(known, [0.2, 0.4, 0.6, 0.8]))
    edges = edges[edges < known.max()]
    if not len(edges):
        edges = np.array([known[known < known.max()].max()])
    ends = [str(np.datetime64(int(edge), "us"))[:10] if dated else f"{edge:g}" for edge in edges]
    if len(set(ends)) < len(ends):  # too close for short names
        ends = [str(np.datetime64(int(edge), "us")) if dated else repr(float(edge)) for edge in edges]
    names = [f"≤ {ends[0]}", *(f"({a}, {b}]" for a, b in pairwise(ends)), f"> {ends[-1]}"]
    place = np.searchsorted(edges, plain, side="left")
    return np.where(gone, "", np.array(names, dtype=np.str_)[np.minimum(place, len(names) - 1)])


def _clusters(column: pd.Series[Any], roles: Mapping[str, Rows]) -> NDArray[np.intp]:
    """Sources as numbers; a row without one is its own source, and synthetic sources are no real ones."""
    codes = pd.factorize(column, use_na_sentinel=True)[0].astype(np.intp)
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
    codes[roles["synthetic"]] += codes.max(initial=-1) + 1
    return codes
