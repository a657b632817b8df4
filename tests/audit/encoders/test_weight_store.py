"""The weights store: a name shows a whole file with its own sha256, or nothing, and only tensors come out of it."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import stat
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from counterproof.cli.main import main
from counterproof.encoders import weight_store as weights
from counterproof.encoders.weight_files import load, matched_state
from counterproof.encoders.weight_store import PUBLISHED, Published, add, entry, fetch, stored, verify
from counterproof.refusal import Refusal

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COUNTERPROOF_WEIGHTS", str(tmp_path / "store"))
    return tmp_path / "store"


def saved(path: Path, state: Any = None) -> Path:
    torch.save(STATE if state is None else state, path)
    return path


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["weights", *arguments])
    return done.exit_code, done.output


def published(monkeypatch: pytest.MonkeyPatch, raw: bytes, length: int = 64) -> None:
    known = Published(url="https://example.org/w.pth", sha256=hashlib.sha256(raw).hexdigest()[:length], about="a test")
    monkeypatch.setitem(PUBLISHED, "known", known)


def test_what_was_added_comes_back(tmp_path: Path, folder: Path) -> None:
    path = saved(tmp_path / "Mine.pth")
    found = add(path)
    assert found == entry("mine") == stored()[0]
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.size, found.source, found.is_published) == (path.stat().st_size, "Mine.pth", False)
    verify(found)
    held = load("mine")
    assert held.sha256 == found.sha256
    assert not held.published
    assert all(torch.equal(held.state[name], STATE[name]) for name in STATE)


def test_files_are_for_this_user_alone(tmp_path: Path, folder: Path) -> None:
    add(saved(tmp_path / "mine.pth"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert len(list(folder.iterdir())) == 2  # nothing partial stays behind


def test_adding_again_replaces_and_leaves_no_orphan(tmp_path: Path, folder: Path) -> None:
    first = add(saved(tmp_path / "mine.pth"))
    add(saved(tmp_path / "mine.pth"), "other")
    second = add(saved(tmp_path / "mine.pth", {"b": torch.ones(3)}))
    assert first.sha256 != second.sha256
    assert (folder / first.sha256).exists()  # "other" still points there
    add(saved(tmp_path / "mine.pth", {"b": torch.ones(3)}), "other")
    assert {path.name for path in folder.iterdir()} == {"mine.json", "other.json", second.sha256}


def test_a_file_that_was_changed_is_refused(tmp_path: Path, folder: Path) -> None:
    found = add(saved(tmp_path / "mine.pth"))
    blob = folder / found.sha256
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    for attempt in (lambda: load("mine"), lambda: verify(found)):
        with pytest.raises(Refusal, match=r"mine: the file of these weights was changed"):
            attempt()
    code, output = run("verify")
    assert code == 2
    assert "was changed" in output
    blob.unlink()
    with pytest.raises(Refusal, match="cannot be read"):
        load("mine")


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[1]", b'{"sha256": "../../etc/passwd", "size": 1, "source": ""}', b"\xff"]
)
def test_a_damaged_record_is_refused(tmp_path: Path, folder: Path, raw: bytes) -> None:
    add(saved(tmp_path / "mine.pth"))
    (folder / "mine.json").write_bytes(raw)
    with pytest.raises(Refusal, match="record of these weights is damaged"):
        load("mine")


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "Upper", "a b", "a\n", "x" * 65])
def test_names_that_are_paths_or_lines_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refusal, match="is no name for weights"):
        add(saved(tmp_path / "mine.pth"), name)


def test_unknown_names_tell_the_nearest(tmp_path: Path) -> None:
    add(saved(tmp_path / "mine.pth"))
    with pytest.raises(Refusal, match="did you mean mine"):
        entry("mine2")
    with pytest.raises(Refusal, match="did you mean inception"):
        fetch("incption")
    with pytest.raises(Refusal, match=r"weights fetch inception, or get https://\S+ and run .* weights add FILE"):
        load("inception")


# -- published weights ------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [8, 64])
def test_published_weights_are_known_by_their_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    path = saved(tmp_path / "some_download.pth")
    published(monkeypatch, path.read_bytes(), length)
    found = add(path)
    assert found.name == "known"
    assert found.is_published
    assert load("known").published
    assert load(str(path), role="known").published


def test_another_file_may_not_take_a_published_name(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(Refusal, match=r"not the published inception \(its sha256 begins 6726825d, this one's"):
        add(saved(tmp_path / "mine.pth"), "inception")
    assert list(folder.iterdir()) == []


def test_fetching_keeps_the_published_file_alone(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = saved(tmp_path / "w.pth").read_bytes()
    published(monkeypatch, raw)
    with pytest.raises(Refusal, match="not the published known"):
        fetch("known", opened=lambda url: io.BytesIO(raw[:-1]))
    assert list(folder.iterdir()) == []
    found = fetch("known", opened=lambda url: io.BytesIO(raw))
    assert found.source == "https://example.org/w.pth"
    assert load("known").state.keys() == STATE.keys()


class Breaking(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise ConnectionResetError("reset by peer")


@pytest.mark.parametrize("error", [URLError("no route"), TimeoutError("timed out"), None])
def test_no_network_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    def opened(url: str) -> Any:
        if error is not None:
            raise error
        return Breaking()

    with pytest.raises(Refusal, match=r"cannot be fetched \(.*\); .* counterproof weights add FILE --as inception"):
        fetch("inception", opened=opened)
    assert not folder.exists() or list(folder.iterdir()) == []


def test_leaving_https_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(io.BytesIO):
        def geturl(self) -> str:
            return "http://example.org/w.pth"

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Elsewhere(b"x"))
    with pytest.raises(Refusal, match="leads away from https"):
        fetch("inception")


def test_endless_files_end(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(weights, "LARGEST", 3 * 2**20)

    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return bytes(size or 1)

    with pytest.raises(Refusal, match="is larger than"):
        fetch("inception", opened=lambda url: Endless())
    assert list(folder.iterdir()) == []


# -- what comes out of a file -----------------------------------------------------------------------


class Evil:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("evil"),)


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw.pth").write_bytes(pickle.dumps({"a": Evil()}))
    saved(tmp_path / "zip.pth", {"a": Evil()})
    torch.save({"a": Evil()}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name, words in (("raw", "cannot be read as"), ("zip", "nothing was run"), ("old", "nothing was run")):
        with pytest.raises(Refusal, match=words):
            load(str(tmp_path / f"{name}.pth"))
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("keep", [0, 0.001, 0.1, 0.5, 0.99])
def test_truncated_files_are_refused(tmp_path: Path, keep: float) -> None:
    raw = saved(tmp_path / "mine.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(raw[: int(keep * len(raw))])
    with pytest.raises(Refusal, match=r"cut\.pth: "):
        load(str(tmp_path / "cut.pth"))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ([1, 2], "holds no state dict"),
        ({}, "holds no state dict"),
        (torch.ones(3), "holds no state dict"),
        ({"a": 1}, "'a' is no tensor by name"),
        ({1: torch.ones(1)}, "'1' is no tensor by name"),
        ({"state_dict": {"a": torch.ones(1)}}, "'state_dict' is no tensor by name"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, state: Any, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        load(str(saved(tmp_path / "w.pth", state)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"a.bias": None}, "misses 'a.bias'"),
        ({"b": torch.ones(1)}, "holds the unexpected 'b'"),
        ({"a.bias": torch.ones(3)}, r"a\.bias is of shape \(3,\), not \(2,\)"),
        ({"a.bias": torch.tensor([1.0, float("nan")])}, "does not hold finite numbers"),
        ({"a.bias": torch.ones(2, dtype=torch.long)}, "does not hold finite numbers"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path: Path, change: dict[str, Tensor], words: str) -> None:
    state = {name: value for name, value in {**STATE, **change}.items() if value is not None}
    with pytest.raises(Refusal, match=words):
        matched_state(load(str(saved(tmp_path / "w.pth", state))), STATE)


def test_counters_of_batches_may_be_missing_and_halves_become_floats(tmp_path: Path) -> None:
    state = {name: value.half() for name, value in STATE.items()}
    wanted = {**STATE, "n.num_batches_tracked": torch.tensor(0)}
    found = matched_state(load(str(saved(tmp_path / "w.pth", state))), wanted)
    assert found.keys() == wanted.keys()
    assert found["a.weight"].dtype == torch.float32
    assert torch.equal(found["a.weight"], STATE["a.weight"])


# -- the command line -------------------------------------------------------------------------------


def test_the_verbs(tmp_path: Path) -> None:
    code, output = run("add", str(saved(tmp_path / "mine.pth")))
    assert code == 0
    assert output.startswith("mine  sha256 ")
    code, output = run("list")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == ["mine", "inception", "clip-vit-b-32"]
    assert run("verify", "mine")[0] == run("verify")[0] == 0
    assert run("verify", "none")[0] == 2
    code, output = run("add", str(tmp_path / "absent.pth"))
    assert (code, "absent.pth: cannot be copied" in output) == (2, True)


def test_records_say_no_more_than_they_should(tmp_path: Path, folder: Path) -> None:
    add(saved(tmp_path / "mine.pth"))
    assert json.loads((folder / "mine.json").read_text()).keys() == {"sha256", "size", "source"}
