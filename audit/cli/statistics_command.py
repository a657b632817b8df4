"""The command ``counterproof statistics``: write reference statistics, or compare a release with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from counterproof.loading.intake import Intake
    from counterproof.loading.statistics_files import Statistics
    from counterproof.metrics.estimate import Estimate


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write the statistics of DATA here (.npz).")
@click.option("--against", type=click.Path(path_type=Path), help="Compare DATA with these statistics (.npz).")
@click.option("--encoder", default="auto", show_default=True, help="As in `counterproof run`.")
@click.option("--encoder-size", type=int, help="Side in pixels that images are resized to.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="cpu", show_default=True)
@click.option("--protocol-unchecked", is_flag=True, help="Accept statistics that do not tell their protocol.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def statistics(data: Path, out: Path | None, against: Path | None, **options: Any) -> None:
    """Mean and covariance of DATA (images or features): write them, or compare with a reference's.

    The files hold `mu` and `sigma` as clean-fid and pytorch-fid keep them, so that a release can be
    compared with a reference that is not there.

    \b
    counterproof statistics real/ --out real.npz
    counterproof statistics release/ --against real.npz
    """  # noqa: D301 (click's mark for lines to keep is a backspace)
    from counterproof.cli.context import exit_on_refusal, progress

    with exit_on_refusal():
        from counterproof.cli.output import plain
        from counterproof.loading.statistics_files import compare, read_statistics, statistics_of, write_statistics
        from counterproof.metrics.engine.one_thread import one_thread
        from counterproof.refusal import Refusal
        from counterproof.run import device_for

        if (out is None) == (against is None):
            raise Refusal("give either --out, to write statistics, or --against, to compare with some")
        reference = None if against is None else read_statistics(against)
        with one_thread(), progress(1) as stages:
            intake = _load(data, options, device_for(options["device"]), stages)
            if reference is None:
                assert out is not None
                write_statistics(statistics_of(intake), out)
                click.echo(plain(f"{out}: {_size(intake)}\nprotocol: {intake.corpus.protocol}"))
                return
            found = compare(intake, reference, unchecked=options["protocol_unchecked"])
        result = _as_dict(found, intake, reference)
        click.echo(json.dumps(result) if options["as_json"] else plain(_text(result)))


def _load(data: Path, options: dict[str, Any], device: str, stages: Any) -> Intake:
    from counterproof.loading.load import take_in_one
    from counterproof.state import cache_folder

    with stages.stage("reading and encoding") as tell:
        return take_in_one(
            data,
            encoder=options["encoder"],
            encoder_size=options["encoder_size"],
            cache=cache_folder(),
            progress=tell,
            device=device,
        )


def _size(intake: Intake) -> str:
    n, d = intake.corpus.features.shape
    return f"{n} rows, {d} dimensions"


def _as_dict(found: Estimate, intake: Intake, reference: Statistics) -> dict[str, Any]:
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "level": found.level,
        "method": found.method,
        "release": intake.sources["synthetic"],
        "n": len(intake.corpus.features),
        "reference": reference.source,
        "reference_n": reference.moments.n or None,
        "protocol": intake.corpus.protocol,
        "protocol_checked": bool(reference.protocol),
    }


def _text(result: dict[str, Any]) -> str:
    rows = f"{result['reference_n']} rows" if result["reference_n"] else "number of rows not known"
    checked = (
        "the same on both sides" if result["protocol_checked"] else "UNCHECKED, the reference does not tell its own"
    )
    value = f"{result['value']:.6g} [{result['low']:.6g}, {result['high']:.6g}]"
    if result["value"] < 0:  # an estimate without bias falls below the least distance by chance
        value = f"0 within its error [0, {max(result['high'], 0.0):.6g}]"
    return (
        f"Fréchet distance: {value} ({result['level']:.0%})\n"
        f"interval: {result['method']}\n"
        f"release: {result['release']}, {result['n']} rows\n"
        f"reference: {result['reference']}, {rows}\n"
        f"protocol: {result['protocol']} ({checked})"
    )
