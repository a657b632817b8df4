"""Runs an audit: data in, record out."""

from __future__ import annotations

import os
import platform
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from counterproof.config import RESERVED, ROLES, Config, check_roles, make_config, read_config
from counterproof.inputs.findings import notable, remark
from counterproof.inputs.timings import timing_shares
from counterproof.judging.gates import refuse_unknown_columns, resolve_gate
from counterproof.judging.grammar import Gate, Level, parse_gate
from counterproof.judging.joint_gates import AllOf, Requirement
from counterproof.judging.policy import policy_gates
from counterproof.judging.verdict import judged
from counterproof.loading.intake import Intake
from counterproof.loading.load import read_options, take_in
from counterproof.loading.suppression import pool_rare_values
from counterproof.measuring.columns_read import columns_read
from counterproof.measuring.contamination import check_contamination, check_overlap, check_sources
from counterproof.measuring.measure import measure
from counterproof.measuring.preflight import preflight
from counterproof.measuring.shadow_generator import Generator, synthesiser_of
from counterproof.measuring.workbench_setup import set_bench
from counterproof.metrics.engine.one_thread import one_thread
from counterproof.metrics.errors import MetricError
from counterproof.metrics.metric import FAMILIES, Metric, installed, load
from counterproof.metrics.sample import Sample
from counterproof.progress import Silent, Stages
from counterproof.refusal import Refusal, nearest_names, shown_path
from counterproof.reports.model import Manifest, NotAssessed, QuantityReading, Reading, RoleReading, StageReading
from counterproof.reports.record import Record
from counterproof.state import cache_folder, count_audit, judged_releases

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


LEVELS: tuple[Level, ...] = ("fail", "warn")
PACKAGES = ("counterproof", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "torch")


def audit(
    *,
    synthetic: pd.DataFrame | np.ndarray[Any, Any] | str | Path | Any,
    train: Any = None,
    holdout: Any = None,
    real: Any = None,
    test: Any = None,
    label: str | None = None,
    groups: Sequence[str] = (),
    cluster: str | None = None,
    kinds: Mapping[str, str] = MappingProxyType({}),
    read_as: Mapping[str, Any] = MappingProxyType({}),
    metrics: Sequence[str | Metric] = (),
    gates: Sequence[str] = (),
    warn: Sequence[str] = (),
    all_of: Mapping[str, Sequence[str]] = MappingProxyType({}),
    encoder: Any = "auto",
    recode: Literal["auto", "never"] = "auto",
    generator: Generator | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Stages | None = None,
    **run: Any,
) -> Record:
    """Hold a synthetic set against the real data it stands in for.

    Args:
        synthetic: The release: a path, a frame, an array of features, or ``(features, frame)``.
        train: Real rows that the generator learned from.
        holdout: Real rows that it never saw.
        real: Real rows of unknown exposure, in place of ``train`` and ``holdout``.
        test: Further real rows for utility and downstream fairness.
        label: The label column.
        groups: Columns of groups to be treated alike.
        cluster: Column that names the source record of a row.
        kinds: Kinds of columns that override what is inferred: ``{"zip": "category"}``.
        read_as: Any key of ``[data.read]``: ``{"decimal": ",", "dates": "day-first"}``.
        metrics: Families, metric ids, or metrics that are not registered; all that apply by default.
        gates: Gates besides the default policy's, in the grammar of ``audit.toml``.
        warn: Gates that only warn.
        all_of: Gates that must hold together, by the name of the whole: ``{"fair and useful": [gate, gate]}``.
        encoder: ``auto``, ``efficientnet``, ``inception[:PROTOCOL]``, ``pixels``, ``timm:NAME``, ``transformers:NAME``,
            a TorchScript or ONNX file, or a ``torch.nn.Module``.
        recode: ``auto`` re-encodes all images alike where the formats of the roles differ, ``never`` leaves them.
        generator: Called with real rows and a seed, fits the generator on them and returns synthetic rows: lets
            membership attacks use shadow models, at the cost of eight fits.
        options: Parameters by metric id.
        progress: Where to tell about stages.
        **run: Any key of ``[run]``: ``seed``, ``confidence``, ``policy``, ``show_real``, …

    Returns:
        The record: ``record.verdict``, ``record["leakage.copies"]``, ``record.to_html(path)``.

    Raises:
        Refusal: The data or options cannot be audited; one sentence says why.
        GateError: A gate cannot be read.
    """
    given = {"train": train, "holdout": holdout, "real": real, "test": test, "synthetic": synthetic}
    sources = {role: source for role, source in given.items() if source is not None}
    plain = {
        "data": {
            **{role: name_of(source) for role, source in sources.items()},
            "label": label,
            "groups": groups,
            "cluster": cluster,
            "kinds": _plain(kinds),
            "read": _plain(read_as),
            "encoder": encoder if isinstance(encoder, str) else type(encoder).__name__,
            "recode": recode,
        },
        "run": {"metrics": metrics if isinstance(metrics, str) else [getattr(m, "id", m) for m in metrics], **run},
        "gates": {"fail": gates, "warn": warn, "all_of": _plain(all_of)},
        "metrics": _plain(options or {}),
    }
    own = {m.id: m for m in metrics if isinstance(m, Metric)}
    return run_audit(make_config(plain), sources, encoder=encoder, generator=generator, progress=progress, own=own)


def _plain(given: Any) -> Any:
    """A mapping of any type as a plain one; what is none is left for the validation to refuse."""
    return dict(given) if isinstance(given, Mapping) else given


def audit_config(path: str | Path, *, progress: Stages | None = None) -> Record:
    """Run the audit that ``audit.toml`` describes."""
    config = read_config(path)
    return run_audit(config, sources_of(config), encoder=config.data.encoder, progress=progress, command=str(path))


def sources_of(config: Config) -> dict[str, Any]:
    """The paths by role."""
    return {role: Path(found) for role in ROLES if (found := getattr(config.data, role)) is not None}


def run_audit(
    config: Config,
    sources: Mapping[str, Any],
    *,
    encoder: Any = "auto",
    progress: Stages | None = None,
    command: str = "",
    own: Mapping[str, Metric] = MappingProxyType({}),
    generator: Generator | None = None,
) -> Record:
    """One audit from a validated configuration."""
    started, stamp = time.perf_counter(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    stages = progress or Silent()
    try:
        check_roles(set(sources))
    except ValueError as error:
        raise Refusal(str(error)) from None
    if "holdout" in sources:
        judged_releases(cache_folder())  # a damaged ledger is told before the work, not after it
    chosen = choose(config.run.metrics, own)
    params = configure(chosen, config.metrics)
    gates = read_gates(config, own)
    with one_thread():
        device = device_for(config.run.device)
        intake = read(config, sources, encoder, stages, device)
        refuse_unknown_columns(gates, _columns_of_gates(intake, config), sorted(intake.corpus.groups))
        intake = pool_rare_values(intake, small_cell=config.run.small_cell, show_real=config.run.show_real)
        bench = set_bench(intake, config.run)
        if generator is not None:
            bench = replace(bench, synthesiser=synthesiser_of(generator, sources, intake, config.data))
        samples = {role: Sample(role, rows, intake.corpus) for role, rows in intake.roles.items()}
        remarks = not_imported(config.run.metrics, own)
        remarks += check_overlap(samples, intake.sources, allow=config.run.allow_overlap)
        remarks += check_sources(samples, intake.sources, allow=config.run.allow_overlap)
        check_contamination(samples, intake.sources)
        if foreseen := preflight(chosen, bench):
            remarks.append(remark(foreseen))
            stages.remark(foreseen)
        readings: list[Reading] = []
        read_by: dict[str, list[str]] = {}
        for found in chosen:
            with stages.stage(found.id):
                measured = measure(found, bench, params[found.id])
            readings += [Reading.of(one, family=found.family, title=found.title) for one in measured]
            if columns := columns_read(found, measured, intake.corpus):
                read_by[found.id] = [name for name in columns if name in intake.released]
    if config.run.policy == "standard":
        gates = [*policy_gates(chosen), *gates]
    manifest = describe(config, intake, remarks, command, stamp, time.perf_counter() - started, device)
    manifest = manifest.model_copy(update={"compared": len(bench.candidate), "read_by": read_by})
    unmeasured = [r for r in readings if r.headline and r.status != "measured" and r.decidable]
    missing = [NotAssessed(metric=r.metric, reason=r.reason) for r in unmeasured]
    return judged(
        gates=gates,
        measurements=readings,
        manifest=manifest,
        not_assessed=missing,
        confidence=config.run.confidence,
        undecided=config.run.undecided,
        without_holdout=config.run.without_holdout,
        words=words_of(chosen, noun=bench.noun),
    )


def words_of(metrics: Sequence[Metric], *, noun: str = "row") -> dict[str, QuantityReading]:
    """What each field of some metrics is about, by ``metric.field``; an excess speaks as what it is the excess of.

    Args:
        metrics: Whose words.
        noun: What a row of the data is called: ``row`` or ``image``.
    """
    words: dict[str, QuantityReading] = {}
    for found in metrics:
        for field, quantity in found.quantities.items():
            plain = {
                name: _of(noun, text) if isinstance(text, str) else text for name, text in asdict(quantity).items()
            }
            told = QuantityReading.model_validate(plain)
            words[f"{found.id}.{field}"] = told
            if field == found.headline:
                words[f"{found.id}.excess"] = told
    return words


def _of(noun: str, text: str) -> str:
    """Words about rows, as words about images.

    >>> _of("image", "Rows with {group}, per release row")
    'Images with {group}, per release image'
    """
    return re.sub(r"\brow", noun, re.sub(r"\bRow", noun.capitalize(), text))


def read_gates(config: Config, own: Mapping[str, Metric] = MappingProxyType({})) -> list[Requirement]:
    """The gates of the configuration; a misspelt metric is told before anything is computed.

    Raises:
        GateError: A gate cannot be read, or names no metric.
    """
    known = {*installed(), *own}

    def read(text: str, level: Level = "fail") -> Gate:
        return resolve_gate(parse_gate(text, level=level, known=known), known)

    single = [read(text, level) for level in LEVELS for text in getattr(config.gates, level)]
    joint = [AllOf(name=name, gates=tuple(map(read, texts))) for name, texts in config.gates.all_of.items()]
    return [*single, *joint]


def choose(wanted: Sequence[str], own: Mapping[str, Metric] = MappingProxyType({})) -> list[Metric]:
    """The metrics of the wanted families and ids, in the order of the five questions.

    Raises:
        Refusal: A name is neither, or a metric that is asked for cannot be imported.
    """
    known = {*installed(), *own}
    for name in wanted:
        if name not in known and name not in FAMILIES:
            near = nearest_names(name, [*known, *FAMILIES], most=3)
            raise Refusal(f"no metric or family is called {name!r}{'; nearest: ' + ', '.join(near) if near else ''}")
    try:
        asked = [name for name in sorted(known) if not wanted or name in wanted or _family(name) in wanted]
        metrics = [own.get(name) or load(name) for name in asked]
        metrics += [found for found in _of_others(wanted, own)[0] if found.family in wanted]
    except MetricError as error:
        raise Refusal(str(error)) from None
    return sorted(metrics, key=lambda m: (FAMILIES.index(m.family), m.id))


def not_imported(wanted: Sequence[str], own: Mapping[str, Metric] = MappingProxyType({})) -> list[str]:
    """What is to be said of metrics that cannot be imported, so that nobody knows whether they were wanted."""
    return [f"{problem}: not measured" for problem in _of_others(wanted, own)[1]]


def _family(identifier: str) -> str:
    """The family that an id tells: none of a vendor's metric."""
    family = identifier.partition(".")[0]
    return family if family in FAMILIES else ""


def _of_others(wanted: Sequence[str], own: Mapping[str, Metric]) -> tuple[list[Metric], list[str]]:
    """Vendors' metrics, whose family is told only when they are imported, and why some cannot be."""
    metrics, problems = [], []
    for name in sorted({*installed(), *own}):
        if _family(name) or name in wanted or not set(wanted) & set(FAMILIES):
            continue
        try:
            metrics.append(own.get(name) or load(name))
        except MetricError as error:
            problems.append(str(error))
    return metrics, problems


def configure(metrics: Sequence[Metric], options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Parameters of every metric.

    Raises:
        Refusal: Options for a metric that is not measured, or an option of another type.
    """
    names = {m.id for m in metrics}
    for name in options:
        if name not in names:
            raise Refusal(f"options are given for {name}, which is not among the metrics of this audit")
    try:
        return {m.id: m.configure(options.get(m.id, {})) for m in metrics}
    except MetricError as error:
        raise Refusal(str(error)) from None


def read(config: Config, sources: Mapping[str, Any], encoder: Any, stages: Stages, device: str = "cpu") -> Intake:
    """Read and encode the data."""
    data = config.data
    with stages.stage("reading and encoding") as tell:
        intake = take_in(
            sources,
            label=data.label,
            groups=data.groups,
            cluster=data.cluster,
            kinds=data.kinds,
            reading=read_options(data.read),
            encoder=encoder,
            encoder_size=data.encoder_size,
            bad_images=data.bad_images,
            cache=cache_folder(),
            progress=tell,
            device=device,
            recode=data.recode,
            memory=config.run.memory_mb * 2**20,
        )
    if intake.stages:
        stages.remark(timing_shares(intake.stages))
    return intake


def _columns_of_gates(intake: Intake, config: Config) -> set[str]:
    """What gates may select by: columns of the data, and the names by which metrics file their own cells."""
    frame = intake.corpus.frame
    columns = [] if frame is None else list(frame.columns)
    return {*columns, *intake.corpus.groups, *intake.corpus.kinds, config.data.label or "label", *RESERVED}


def device_for(wanted: str) -> str:
    """Where images are encoded and products made: what was asked for, or a GPU where there is one.

    Raises:
        Refusal: A GPU is asked for and there is none.
    """
    if wanted == "cpu":
        return "cpu"
    from counterproof.encoders.base import device_named

    return str(device_named(wanted))


def name_of(source: Any) -> str:
    """A source as the record names it."""
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else type(source).__name__


def describe(
    config: Config, intake: Intake, remarks: list[str], command: str, stamp: str, seconds: float, device: str
) -> Manifest:
    """What was audited, with what."""
    held = intake.digests.get("holdout")
    audits, uncounted = count_audit(cache_folder(), held, intake.digests["synthetic"]) if held else (1, "")
    findings = [*intake.findings, *remarks, *([uncounted] if uncounted else [])]
    return Manifest(
        roles=[
            RoleReading(
                role=role,
                source=intake.sources[role],
                rows=len(rows),
                digest=intake.digests[role],
                notes=intake.notes.get(role, []),
            )
            for role, rows in intake.roles.items()
        ],
        config=_without_folders(config.model_dump(mode="json", exclude_none=True)),
        packages={"python": platform.python_version(), **{name: release_of(name) for name in PACKAGES}},
        encoder=intake.encoder,
        encoder_digest=intake.encoder_digest,
        modality=intake.corpus.modality,
        columns=dict(intake.corpus.kinds),
        no_labels=intake.corpus.no_labels,
        released=list(intake.released),
        seed=config.run.seed,
        device=device,
        command=shlex.join(map(_shown_argument, shlex.split(command))),
        audits_of_holdout=audits,
        findings=findings,
        notable=notable(findings),
        shows_real=config.run.show_real,
        seconds=seconds,
        stages=[StageReading(stage=name, seconds=took) for name, took in intake.stages.items()],
        started=stamp,
    )


def _without_folders(plain: dict[str, Any]) -> dict[str, Any]:
    """A configuration whose files are named from the working folder: no record tells where a machine keeps them."""
    data = plain.get("data", {})
    named = {role: shown_path(data[role]) for role in ROLES if isinstance(data.get(role), str)}
    return {**plain, "data": {**data, **named}}


def _shown_argument(argument: str) -> str:
    """A part of a command line, with paths as reports show them: ``--train=/home/ana/a.csv``."""
    option, sign, value = argument.rpartition("=")
    return f"{option}{sign}{shown_path(value)}" if Path(value).is_absolute() else argument


def release_of(package: str) -> str:
    """The installed version of a package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
