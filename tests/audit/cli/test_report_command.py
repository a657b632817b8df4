"""``counterproof report``: the report again, two audits side by side, and the index of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.cli import called, refused
from helpers.hostile import Page
from helpers.sample_tables import census_record, manifest_of

from counterproof.cli.report_command import _link
from counterproof.reports.outputs.html import render


@pytest.fixture
def audits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three audits, two of them with a report beside the record."""
    for k, name in enumerate(("may", "june", "with space & <b>")):
        folder = tmp_path / "audits" / name
        folder.mkdir(parents=True)
        manifest = manifest_of(started=f"2026-0{k + 1}-01T10:00:00Z")
        census_record().model_copy(update={"manifest": manifest}).write(folder / "record.json")
        if name != "june":
            (folder / "report.html").write_text("an older report")
    monkeypatch.chdir(tmp_path)
    return Path("audits")


def test_one_record_writes_its_report_again_beside_it(audits: Path) -> None:
    done = called("report", audits / "may" / "record.json")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"report: {audits / 'may' / 'report.html'}\n"
    written = (audits / "may" / "report.html").read_text(encoding="utf-8")
    manifest = manifest_of(started="2026-01-01T10:00:00Z")
    assert written == render(census_record().model_copy(update={"manifest": manifest}))


def test_a_folder_that_holds_a_record_is_that_record(audits: Path) -> None:
    assert called("report", audits / "june", "--out", "out/page.html").exit_code == 0
    assert Path("out/page.html").is_file()
    assert not (audits / "june" / "report.html").exists()


def test_two_records_stand_side_by_side_and_lead_to_their_reports(audits: Path) -> None:
    done = called("report", audits / "may", audits / "june" / "record.json")
    assert (done.exit_code, done.stdout) == (0, "report: comparison.html\n")
    found = Page(Path("comparison.html").read_text(encoding="utf-8"))
    assert found.links == ["audits/may/report.html"], "only where there is a report"
    assert "Gate by gate" in found.text


def test_a_folder_of_audits_gets_an_index_whose_links_are_relative_and_escaped(audits: Path) -> None:
    done = called("report", audits)
    assert (done.exit_code, done.stdout) == (0, f"report: {audits / 'index.html'}\n")
    found = Page((audits / "index.html").read_text(encoding="utf-8"))
    assert found.links == ["with%20space%20%26%20%3Cb%3E/report.html", "may/report.html"]
    assert "3 audits: 3 fail." in found.text
    assert called("report", audits).exit_code == 0, "an index in the folder is no record"


def test_three_records_or_the_option_make_an_index_too(audits: Path) -> None:
    named = [audits / name for name in ("may", "june", "with space & <b>")]
    assert called("report", *named).stdout == "report: index.html\n"
    assert called("report", named[0], "--index", "--out", "deep/er/one.html").exit_code == 0
    assert Page(Path("deep/er/one.html").read_text(encoding="utf-8")).links == ["../../audits/may/report.html"]


def test_a_link_cannot_name_a_scheme_or_another_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("javascript:alert(1)", "data:text"):
        Path(name).mkdir()
        (Path(name) / "report.html").touch()
        link = _link(Path(name) / "record.json", Path("index.html"))
        assert ":" not in link
        assert not link.startswith("/")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nope.json",), "nope.json: cannot be read (No such file or directory)"),
        (("empty",), "empty: holds no record.json; name the folder that `counterproof run --out` wrote"),
        (("broken.json",), "broken.json: is not a record of schema counterproof/record/1"),
        (("audits/may", "broken.json"), "broken.json: is not a record of schema counterproof/record/1"),
        (
            ("audits/may", "--out", "audits"),
            "audits: cannot be written (Is a directory); name another file with --out",
        ),
    ],
)
def test_what_cannot_be_read_or_written_is_told_in_one_sentence(
    audits: Path, arguments: tuple[str, ...], told: str
) -> None:
    Path("empty").mkdir()
    Path("broken.json").write_text("{")
    assert refused("report", *arguments) == told


def test_without_a_record_it_says_how_it_is_used() -> None:
    done = called("report")
    assert done.exit_code == 2
    assert "RECORD..." in done.output
