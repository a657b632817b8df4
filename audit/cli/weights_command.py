"""The commands of ``counterproof weights``."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def weights() -> None:
    """Weights of networks that do not ship with counterproof.

    They lie in $COUNTERPROOF_WEIGHTS, else in counterproof/weights of the XDG data folder, each held to its
    sha256 whenever it is loaded. `counterproof run --encoder inception` takes the weights called inception.
    """


@weights.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--as", "name", help="What to call them; default: the published weights that they are, or the file's name."
)
def add(file: Path, name: str | None) -> None:
    """Copy FILE, a PyTorch state dict, into the store.

    \b
    counterproof weights add pt_inception-2015-12-05-6726825d.pth
    counterproof weights add my-inception.pth --as mine
    """  # noqa: D301 (click's mark for lines to keep is a backspace)
    from counterproof.cli.context import exit_on_refusal

    with exit_on_refusal():
        from counterproof.encoders.weight_store import add as add_file

        _print_entry(add_file(file, name))


@weights.command(name="list")
def list_weights() -> None:
    """One line per file in the store, and what could be fetched."""
    from counterproof.cli.context import exit_on_refusal

    with exit_on_refusal():
        from counterproof.encoders.weight_store import PUBLISHED, is_stored, stored

        for found in stored():
            _print_entry(found)
        for name, known in PUBLISHED.items():
            if not is_stored(name):
                click.echo(f"{name}  not here; counterproof weights fetch {name}  ({known.about})")


@weights.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Fetch the published weights NAME over https; only the published file is kept."""
    from counterproof.cli.context import exit_on_refusal

    with exit_on_refusal():
        from counterproof.encoders.weight_store import fetch as fetch_file

        _print_entry(fetch_file(name))


@weights.command()
@click.argument("name", required=False)
def verify(name: str | None) -> None:
    """Read the weights NAME, or all, again and hold them to their sha256."""
    from counterproof.cli.context import exit_on_refusal

    with exit_on_refusal():
        from counterproof.encoders.weight_store import entry, stored
        from counterproof.encoders.weight_store import verify as verify_file

        for found in stored() if name is None else [entry(name)]:
            verify_file(found)
            _print_entry(found)


def _print_entry(found: object) -> None:
    from counterproof.cli.output import plain
    from counterproof.encoders.weight_store import Stored

    assert isinstance(found, Stored)
    kind = "as published" if found.is_published else "your own"
    click.echo(
        plain(f"{found.name}  sha256 {found.sha256[:16]}…  {found.size / 2**20:.1f} MB  {kind}  from {found.source}")
    )
