"""Statistics are written and read as clean-fid and pytorch-fid do; a release is compared with them alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.cli import called, refused

from counterproof.metrics.fidelity.frechet_distance import frechet_distance_between
from counterproof.metrics.frechet.moments import Moments
from counterproof.metrics.frechet.reference_statistics import frechet_distance_from_statistics

D = 6


@pytest.fixture
def place(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "real.npy", rng.normal(size=(400, D)))
    np.save(tmp_path / "release.npy", rng.normal(size=(300, D)) * 1.1 + 0.2)
    assert called("statistics", tmp_path / "real.npy", "--out", tmp_path / "real.npz").exit_code == 0
    return tmp_path


def kept(place: Path, name: str = "other.npz", **changed: Any) -> Path:
    with np.load(place / "real.npz") as file:
        held: dict[str, Any] = dict(file)
    held.update(changed)
    np.savez(place / name, **{key: value for key, value in held.items() if value is not None})
    return place / name


def test_what_others_read_and_what_is_ours(place: Path) -> None:
    real = np.load(place / "real.npy")
    with np.load(place / "real.npz", allow_pickle=False) as file:
        assert set(file.files) == {"mu", "sigma", "n", "protocol"}
        np.testing.assert_allclose(file["mu"], np.mean(real, axis=0), rtol=1e-12)
        np.testing.assert_allclose(file["sigma"], np.cov(real, rowvar=False), rtol=1e-12)
        assert file["n"].shape == file["protocol"].shape == ()
        assert int(file["n"]) == 400
    first = (place / "real.npz").read_bytes()
    called("statistics", place / "real.npy", "--out", place / "real.npz")
    assert (place / "real.npz").read_bytes() == first


def test_a_release_against_statistics_alone(place: Path) -> None:
    done = called("statistics", place / "release.npy", "--against", place / "real.npz", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    expected = frechet_distance_between(np.load(place / "real.npy"), np.load(place / "release.npy"))
    assert told["value"] == pytest.approx(expected, rel=1e-9)
    assert told["low"] < expected < told["high"]
    assert (told["n"], told["reference_n"], told["protocol_checked"]) == (300, 400, True)
    text = called("statistics", place / "release.npy", "--against", place / "real.npz").stdout
    assert f"Fréchet distance: {expected:.6g}" in text
    assert "bias of samples of this size is not removed" in text


def test_files_of_other_libraries_need_a_word(place: Path) -> None:
    theirs = kept(place, n=None, protocol=None)
    told = refused("statistics", place / "release.npy", "--against", theirs)
    assert "does not tell its protocol" in told
    done = called("statistics", place / "release.npy", "--against", theirs, "--protocol-unchecked")
    assert done.exit_code == 0, done.output
    assert "UNCHECKED" in done.stdout
    assert "number of rows not known" in done.stdout


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"mu": None}, "no mu"),
        ({"sigma": None}, "no sigma"),
        ({"mu": np.float64(0.1), "sigma": np.float64(0.2)}, "one row or one column"),
        ({"sigma": np.eye(5)}, "mu must be (d,) and sigma (d, d), not (6,) and (5, 5)"),
        ({"mu": np.array([np.nan] * D)}, "mu holds NaN"),
        ({"sigma": np.diag([np.inf] + [1.0] * 5)}, "sigma holds NaN or an infinity"),
        ({"sigma": np.triu(np.ones((D, D)))}, "not symmetric"),
        ({"sigma": np.diag([1.0] * 5 + [-0.1])}, "negative eigenvalues"),
        ({"mu": np.array(["a"] * D)}, "not real numbers"),
        ({"sigma": np.eye(D) * 1j}, "not real numbers"),
        ({"mu": np.zeros(4), "sigma": np.eye(4)}, "6 features in a row, but"),
        ({"protocol": np.array("inception, clean")}, "another protocol (inception, clean)"),
        ({"protocol": np.array([1, 2])}, "protocol must be one text"),
        ({"n": np.array(1)}, "n must be one whole number of 2 or more"),
        ({"n": np.array([3, 4])}, "n must be one whole number"),
        ({"mu": np.array([None] * D)}, "cannot be read as npz statistics"),
    ],
)
def test_bad_statistics_are_one_sentence(place: Path, changed: dict[str, Any], told: str) -> None:
    assert told in refused("statistics", place / "release.npy", "--against", kept(place, **changed))


def test_broken_files_and_misuse_are_one_sentence(place: Path) -> None:
    release, real = place / "release.npy", place / "real.npz"
    (place / "cut.npz").write_bytes(real.read_bytes()[:-40])
    assert "cannot be read" in refused("statistics", release, "--against", place / "cut.npz")
    whole = bytearray(kept(place).read_bytes())
    whole[len(whole) // 2] ^= 255
    (place / "bent.npz").write_bytes(whole)
    assert "cannot be read" in refused("statistics", release, "--against", place / "bent.npz")
    assert "cannot be read" in refused("statistics", release, "--against", release)
    assert "no such file" in refused("statistics", release, "--against", place / "none.npz")
    assert "no such file" in refused("statistics", place / "none.npy", "--against", real)
    assert "either --out" in refused("statistics", release)
    assert "either --out" in refused("statistics", release, "--out", place / "a.npz", "--against", real)
    assert "name it so" in refused("statistics", release, "--out", place / "a.npy")
    assert "cannot be written" in refused("statistics", release, "--out", place / "none" / "a.npz")
    np.save(place / "one.npy", np.ones((1, D)))
    assert "two rows" in refused("statistics", place / "one.npy", "--out", place / "a.npz")
    assert "two rows" in refused("statistics", place / "one.npy", "--against", real)
    (place / "table.csv").write_text("a,b\n1,2\n3,4\n")
    assert "is a table" in refused("statistics", place / "table.csv", "--out", place / "a.npz")
    assert "an encoder is for images" in refused("statistics", release, "--against", real, "--encoder", "pixels")


def test_a_protocol_that_is_known_to_differ_is_refused_all_the_same(place: Path) -> None:
    other = kept(place, protocol=np.array("inception"))
    assert "another protocol" in refused(
        "statistics", place / "release.npy", "--against", other, "--protocol-unchecked"
    )


def test_images_carry_their_encoders_protocol(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("real", "release"):
        np.save(tmp_path / f"{name}.npy", rng.integers(0, 256, size=(30, 8, 8), dtype=np.uint8))
    out = tmp_path / "real.npz"
    done = called("statistics", tmp_path / "real.npy", "--out", out, "--encoder", "pixels")
    assert done.exit_code == 0, done.output
    assert "pixels, side 8" in str(np.load(out)["protocol"])
    told = called("statistics", tmp_path / "release.npy", "--against", out, "--encoder", "pixels")
    assert told.exit_code == 0, told.output
    other = refused(
        *("statistics", tmp_path / "release.npy", "--against", out, "--encoder", "pixels", "--encoder-size", "4")
    )
    assert "another protocol" in other


def test_the_interval_speaks_of_the_release_and_of_a_reference_of_known_size() -> None:
    rng = np.random.default_rng(1)
    mean, covariance = np.full(4, 0.3), np.diag([1.0, 2.0, 0.5, 1.5])
    exact = Moments(200, mean, covariance)
    drawn, known, alone = [], [], []
    for _ in range(300):
        rows = rng.normal(size=(300, 4))
        reference = rng.multivariate_normal(mean, covariance, 200)
        sampled = Moments(200, reference.mean(0), np.cov(reference.T))
        drawn.append(frechet_distance_between(reference, rows))
        both = frechet_distance_from_statistics(rows, sampled)
        known.append((both.high - both.low) / 3.92)
        one = frechet_distance_from_statistics(rows, exact, reference_known=False)
        alone.append((one.value, (one.high - one.low) / 3.92))
    assert np.mean(known) == pytest.approx(np.std(drawn), rel=0.15)
    assert np.mean([error for _, error in alone]) == pytest.approx(np.std([v for v, _ in alone]), rel=0.15)
    with pytest.raises(ValueError, match="of 4 features are needed"):
        frechet_distance_from_statistics(np.ones((5, 3)), exact)
