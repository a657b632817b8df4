"""The command line. Commands import their code when they run, so that ``--help`` stays fast."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from counterproof.cli.context import Judged, Program, exit_on_refusal, progress
from counterproof.cli.report_command import report
from counterproof.cli.statistics_command import statistics
from counterproof.cli.weights_command import weights

if TYPE_CHECKING:
    from counterproof.reports.record import Record


DEFAULT_OUT = Path("counterproof-report")


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="counterproof")
def main() -> None:
    """Audit synthetic data before it is released.

    Exit codes: 0 pass, 1 a gate failed, 2 usage or refused data, 3 inconclusive, 4 a metric crashed.
    """


main.add_command(report)


main.add_command(statistics)


main.add_command(weights)


@main.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option("--train", help="Real rows that the generator learned from.")
@click.option("--holdout", help="Real rows that it never saw.")
@click.option("--real", help="Real rows of unknown exposure, in place of the two.")
@click.option("--test", help="Further real rows for utility and fairness.")
@click.option("--synthetic", help="The release under audit.")
@click.option("--label", help="The label column.")
@click.option("--groups", help="Group columns, separated by commas.")
@click.option("--intersections", type=click.IntRange(1, 4), help="Group columns that are crossed at once; default 1.")
@click.option("--cluster", help="Column that names the source record of a row.")
@click.option("--kind", "kinds", multiple=True, help="Kind of a column: pay=number; may be repeated.")
@click.option("--decimal", multiple=True, help="Mark before decimals, . or , for all columns or one: pay=,")
@click.option("--dates", multiple=True, help="day-first or month-first, for all columns or one: born=day-first")
@click.option("--encoding", help="Encoding of text files: latin-1, utf-16, …; default: detected.")
@click.option("--separator", help="Separator of fields in text files; default: detected.")
@click.option("--header/--no-header", default=None, help="Does the first line of text files hold the names?")
@click.option(
    "--encoder", help="auto, efficientnet, inception[:PROTOCOL], pixels, timm:NAME, or a TorchScript or ONNX file."
)
@click.option("--metrics", help="Families or metric ids, separated by commas; default: all that apply.")
@click.option("--gate", "gates", multiple=True, help="A gate besides the default policy's; may be repeated.")
@click.option("--warn", "warns", multiple=True, help="A gate that only warns; may be repeated.")
@click.option("--policy", type=click.Choice(["standard", "none"]), help="Default gates, or only those given.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), help="Where images are encoded.")
@click.option("--seed", type=int, help="Seed of every random step.")
@click.option("--without-holdout", type=click.Choice(["refuse", "allow"]), help="May leakage stay unassessed?")
@click.option("--allow-overlap", is_flag=True, default=None, help="Accept holdout rows that stand in train.")
@click.option("--show-real", is_flag=True, default=None, help="Show contents of real records in the report.")
@click.option("--out", type=click.Path(path_type=Path), default=DEFAULT_OUT, show_default=True, help="Output folder.")
def run(config: Path | None, out: Path, **options: Any) -> None:
    """Audit a release: by CONFIG (audit.toml), or by options.

    \b
    counterproof run --train train.csv --holdout holdout.csv --synthetic release.csv \\
                     --label income --groups sex,race
    """  # noqa: D301 (click's mark for lines to keep is a backspace)
    with exit_on_refusal():
        from counterproof.cli.output import check_writable, print_verdict, write_all
        from counterproof.judging.verdict import exit_code

        check_writable(out)
        record = _run_configured(config, options)
        paths = write_all(record, out)
        print_verdict(record, paths)
        raise Judged(exit_code(record))


def _run_configured(path: Path | None, options: dict[str, Any]) -> Record:
    from counterproof.config import make_config, read_config
    from counterproof.run import choose, run_audit, sources_of

    given = {name: value for name, value in options.items() if value not in (None, ())}
    if path is not None:
        config = read_config(path)
        plain = config.model_dump(exclude_none=True)
    else:
        plain = {"data": {}, "run": {}, "gates": {}, "metrics": {}}
    for name, value in given.items():
        section, key = _PLACES[name]
        if name in ("groups", "metrics"):
            value = tuple(filter(None, map(str.strip, value.split(","))))
        elif name in ("kinds", "decimal", "dates"):
            value = _by_column(name, value)
        place = plain[section].setdefault("read", {}) if name in _READ else plain[section]
        place[key] = {**place.get(key, {}), **value} if name == "kinds" else value
    config = make_config(plain)
    with progress(len(choose(config.run.metrics)) + 1) as stages:
        return run_audit(
            config,
            sources_of(config),
            encoder=config.data.encoder,
            progress=stages,
            command=shlex.join(["counterproof", *sys.argv[1:]]),
        )


def _by_column(option: str, given: tuple[str, ...]) -> str | dict[str, str]:
    """An option for all columns, or by the name of a column: ``pay=number``.

    Raises:
        Refusal: Some are given by column and some are not.
    """
    from counterproof.refusal import Refusal

    parts = [text.rpartition("=") for text in given]
    if len(given) == 1 and not parts[0][1] and option != "kinds":
        return given[0]
    if all(name and sign for name, sign, _ in parts):
        return {name: value for name, _, value in parts}
    said = {"kinds": "--kind", "decimal": "--decimal", "dates": "--dates"}[option]
    raise Refusal(f"{said} {given[0]}: give it by column, as in {said} pay={'number' if option == 'kinds' else '…'}")


_READ = ("decimal", "dates", "encoding", "separator", "header")
_PLACES = {
    **{name: ("data", name) for name in ("train", "holdout", "real", "test", "synthetic")},
    **{name: ("data", name) for name in ("label", "groups", "cluster", "encoder", "kinds", *_READ)},
    **{name: ("run", name) for name in ("metrics", "policy", "device", "seed", "intersections")},
    **{name: ("run", name) for name in ("without_holdout", "allow_overlap", "show_real")},
    "gates": ("gates", "fail"),
    "warns": ("gates", "warn"),
}


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("counterproof-demo"), show_default=True)
@click.option("--release", "releases", multiple=True, help="Which of the shipped releases; may be repeated.")
def demo(out: Path, releases: tuple[str, ...]) -> None:
    """Audit two releases of the census data that ship with counterproof."""
    with exit_on_refusal():
        from counterproof.cli.demo import RELEASES, run_demo

        run_demo(out, releases or RELEASES)


@main.command()
@click.argument("record", type=click.Path(path_type=Path))
@click.option("--gate", "gates", multiple=True, help="A further gate; may be repeated.")
@click.option("--warn", "warns", multiple=True, help="A further gate that only warns.")
@click.option("--policy", type=click.Choice(["standard", "none"]), default="standard", show_default=True)
@click.option("--baseline", type=click.Path(path_type=Path), help="A record that `baseline` in gates means.")
@click.option("--out", type=click.Path(path_type=Path), help="Write record, report, JUnit and summary here.")
def gate(record: Path, out: Path | None, **options: Any) -> None:
    """Judge RECORD (record.json) again, by its gates and further ones, without recomputing."""
    with exit_on_refusal():
        from counterproof.cli.output import print_verdict, read_record, write_all
        from counterproof.judging.rejudge import rejudged
        from counterproof.judging.verdict import exit_code

        baseline = options["baseline"]
        judged = rejudged(
            read_record(record),
            fail=options["gates"],
            warn=options["warns"],
            keep_policy=options["policy"] == "standard",
            baseline=None if baseline is None else read_record(baseline),
        )
        print_verdict(judged, write_all(judged, out) if out is not None else {})
        raise Judged(exit_code(judged))


@main.group(name="metrics")
def metrics_group() -> None:
    """The metrics that are installed."""


@metrics_group.command(name="list")
def list_metrics() -> None:
    """One line per metric."""
    with exit_on_refusal():
        from counterproof.cli.metric_catalogue import lines

        click.echo("\n".join(lines()))


@metrics_group.command()
@click.argument("identifier")
def show(identifier: str) -> None:
    """What a metric measures, how to read it, its options and default gates."""
    with exit_on_refusal():
        from counterproof.cli.metric_catalogue import page

        click.echo(page(identifier))


if __name__ == "__main__":
    main()
