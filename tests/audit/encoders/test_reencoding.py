"""Roles stored differently are re-encoded alike, so that compression is not mistaken for fakeness."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from counterproof import Record, audit
from counterproof.encoders.reencoding import SMALLEST, Reencoding, plan_reencoding
from counterproof.inputs.images import Pixels, decode
from counterproof.loading.intake import Intake
from counterproof.loading.load import take_in
from counterproof.metrics.shared.image_formats import Formats

FASHION = Path(__file__).parents[2] / "data" / "fashion"
MEASURED = ("fidelity.kernel_distance", "fidelity.format_confound")
WHOLE = ("fidelity.detectability", "fidelity.frechet_distance", "fidelity.precision", "fidelity.density", "coverage")


def smooth(seed: int, side: int = 48) -> Pixels:
    """Colours away from the ends of their range, as photographs mostly are: clipping is not undone by JPEG."""
    small = np.random.default_rng(seed).integers(70, 186, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))


def filed(path: Path, images: list[Pixels], kind: str = "PNG", mode: str = "RGB", **options: Any) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for at, image in enumerate(images):
            file = io.BytesIO()
            Image.fromarray(image).convert(mode).save(file, kind, **options)
            out.writestr(f"{at:04}.{kind.lower()}", file.getvalue())
    return path


def read(real: Any, synthetic: Any, **options: Any) -> Intake:
    return take_in({"real": real, "synthetic": synthetic}, **{"encoder": "pixels", "cache": None} | options)


def of(count: int, kind: str) -> Formats:
    return np.array([kind] * count)


# -- the recoding itself ----------------------------------------------------------------------------


@pytest.mark.parametrize("quality", [30, 75, 90])
def test_jpeg_of_that_quality_changes_less_than_png_does(quality: int) -> None:
    recoding = Reencoding(quality)
    image = smooth(0)
    once = recoding(image)
    lost = np.abs(once.astype(int) - image).mean()
    assert lost > 0.3
    assert np.abs(recoding(once).astype(int) - once).mean() < 0.5 * lost


def test_what_pillow_stores_is_what_recoding_makes() -> None:
    file = io.BytesIO()
    Image.fromarray(smooth(1)).save(file, "JPEG", quality=75)  # Pillow's own subsampling is 4:2:0
    assert np.array_equal(decode(file.getvalue(), "x").pixels, Reencoding(75)(smooth(1)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (17, 16)])
def test_any_shape_keeps_its_shape(shape: tuple[int, int]) -> None:
    assert Reencoding(75)(np.full((*shape, 3), 9, dtype=np.uint8)).shape == (*shape, 3)


def test_grey_stays_grey() -> None:
    made = Reencoding(50)(smooth(3).mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, axis=2))
    assert (made == made[..., :1]).all()


# -- the plan ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formats", "quality"),
    [
        ({"real": of(50, "JPEG q75"), "synthetic": of(50, "PNG")}, 75),
        ({"real": of(50, "PNG"), "synthetic": of(50, "JPEG q90")}, 90),
        ({"real": of(50, "JPEG q95"), "synthetic": of(50, "JPEG q70")}, 70),
        ({"train": of(50, "PNG"), "holdout": of(50, "JPEG q80"), "synthetic": of(50, "PNG")}, 80),
        ({"real": of(50, "WEBP lossy"), "synthetic": of(50, "PNG")}, 75),
        ({"real": np.append(of(1, "JPEG q5"), of(99, "JPEG q85")), "synthetic": of(99, "PNG")}, 85),
        ({"real": np.append(of(30, "JPEG q60"), of(70, "JPEG q95")), "synthetic": of(99, "PNG")}, 60),
    ],
)
def test_the_quality_is_the_lowest_of_the_roles(formats: dict[str, Formats], quality: int) -> None:
    plan = plan_reencoding(formats, largest=64)
    assert plan.before == plan.alike == Reencoding(quality)
    assert plan_reencoding(formats, largest=64, recode="never").before is None


def test_roles_stored_alike_are_left_alone() -> None:
    plan = plan_reencoding({"real": of(50, "PNG"), "synthetic": of(50, "array")}, largest=64)
    assert (plan.alike, plan.before, plan.findings) == (None, None, ())


def test_the_finding_says_who_is_stored_how_and_what_was_done() -> None:
    formats = {"train": of(9, "JPEG q75"), "holdout": of(9, "JPEG q75"), "synthetic": of(9, "PNG")}
    (told,) = plan_reencoding(formats, largest=64).findings
    assert told == (
        "train and holdout are stored as JPEG q75, synthetic as PNG: all were re-encoded as JPEG q75 4:2:0 "
        "before encoding, so that compression is not mistaken for fakeness"
    )
    (told,) = plan_reencoding(formats, largest=64, recode="never").findings
    assert 'compared as stored (recode = "never")' in told


# -- taking images in -------------------------------------------------------------------------------


@pytest.fixture
def both(tmp_path: Path) -> dict[str, Path]:
    images = [smooth(seed) for seed in range(60)]
    return {
        "real": filed(tmp_path / "real.zip", images[:30], "JPEG", quality=60),
        "synthetic": filed(tmp_path / "made.zip", images[30:]),
    }


def test_the_corpus_holds_images_stored_alike_and_can_show_them_as_stored(both: dict[str, Path]) -> None:
    auto, never = read(**both).corpus, read(**both, recode="never").corpus
    assert auto.protocol == f"{never.protocol}, re-encoded as JPEG q60 4:2:0"
    rows = np.array([0, 7, 30, 59])
    for corpus in (auto, never):
        assert corpus.recoded is not None
        assert corpus.as_stored is not None
        assert np.array_equal(corpus.recoded(rows), auto.features[rows])
        assert np.array_equal(corpus.as_stored(rows), never.features[rows])
    assert not np.array_equal(auto.features[30:], never.features[30:])
    assert np.abs(auto.features[:30] - never.features[:30]).mean() < 0.01


def test_copies_are_still_told_by_the_stored_pixels(both: dict[str, Path]) -> None:
    auto, never = read(**both).corpus, read(**both, recode="never").corpus
    assert np.array_equal(auto.digests, never.digests)


def test_a_network_of_ones_own_sees_images_stored_alike(both: dict[str, Path]) -> None:
    auto, never = read(**both).corpus, read(**both, recode="never").corpus
    assert auto.pixels is not None
    assert never.pixels is not None
    assert np.array_equal(auto.pixels(40), Reencoding(60)(never.pixels(40)))


def test_both_states_are_cached_apart(both: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([3, 31])
    first = read(**both, cache=tmp_path / "cache").corpus
    assert first.as_stored is not None
    stored = first.as_stored(rows)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr("counterproof.encoders.reencoding.encode", refuse)
    second = read(**both, cache=tmp_path / "cache")
    assert second.cached
    assert second.corpus.as_stored is not None
    assert np.array_equal(second.corpus.as_stored(rows), stored)
    assert np.array_equal(second.corpus.features, first.features)
    assert not np.array_equal(stored[1], first.features[31])


def test_images_stored_alike_are_left_alone(tmp_path: Path) -> None:
    images = [smooth(seed) for seed in range(40)]
    found = read(filed(tmp_path / "a.zip", images[:20]), np.stack(images[20:]))
    assert found.corpus.recoded is None
    assert found.corpus.as_stored is None
    assert "re-encoded" not in found.corpus.protocol
    assert not found.findings


def test_images_too_small_for_jpeg_are_left_alone_and_told_of(tmp_path: Path) -> None:
    images = [smooth(seed, SMALLEST - 1) for seed in range(40)]
    found = read(filed(tmp_path / "a.zip", images[:20], "JPEG"), filed(tmp_path / "b.zip", images[20:]))
    assert found.corpus.recoded is None
    assert f"images of {SMALLEST - 1} pixels are too small" in found.findings[0]


@pytest.mark.parametrize(
    ("kind", "mode", "more"),
    [("PNG", "L", {}), ("PNG", "RGBA", {}), ("JPEG", "CMYK", {"quality": 60}), ("JPEG", "L", {"quality": 60})],
)
def test_every_mode_can_be_stored_alike(tmp_path: Path, kind: str, mode: str, more: dict[str, Any]) -> None:
    images = [smooth(seed) for seed in range(40)]
    other = {"kind": "PNG"} if kind == "JPEG" else {"kind": "JPEG", "quality": 60}
    real = filed(tmp_path / "a.zip", images[:20], kind, mode, **more)
    found = read(real, filed(tmp_path / "b.zip", images[20:], **other))
    assert found.corpus.protocol.endswith("re-encoded as JPEG q60 4:2:0")
    assert np.isfinite(found.corpus.features).all()


# -- the audit --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Fashion-MNIST: real images as JPEG of quality 75, fresh ones and a GAN's as PNG."""
    folder = tmp_path_factory.mktemp("formats")

    def images(name: str, at: slice) -> list[Pixels]:
        with zipfile.ZipFile(FASHION / f"{name}.zip") as held:
            names = sorted(entry for entry in held.namelist() if entry.endswith(".png"))[at]
            return [decode(held.read(entry), entry).pixels for entry in names]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTERPROOF_CACHE", str(folder / "cache"))
        yield {
            "train": filed(folder / "train.zip", images("train", slice(0, None, 2)), "JPEG", quality=75),
            "holdout": filed(folder / "holdout.zip", images("holdout", slice(0, None, 2)), "JPEG", quality=75),
            "fresh": filed(folder / "fresh.zip", images("holdout", slice(1, None, 2))),
            "gan": filed(folder / "gan.zip", images("release_gan", slice(0, None, 2))),
        }


def audited(roles: dict[str, Path], release: str, *more: str, **options: Any) -> Record:
    given = {"train": roles["train"], "holdout": roles["holdout"], "synthetic": roles[release]}
    few = {"fidelity.format_confound": {"rows": 400}}
    return audit(**given, metrics=[*MEASURED, *more], options=few, **options)


def test_fresh_real_images_as_png_pass_against_jpeg(roles: dict[str, Path]) -> None:
    record = audited(roles, "fresh")
    assert record.verdict == "pass"
    assert any("synthetic as PNG: all were re-encoded as JPEG q75" in told for told in record.manifest.findings)
    assert all(m.protocol.endswith("re-encoded as JPEG q75 4:2:0") for m in record.measurements)
    share = record["fidelity.format_confound"]
    assert share.low is not None
    assert share.high is not None
    assert 0.5 < share.low <= 1 <= share.high


def test_without_recoding_they_would_be_called_fake(roles: dict[str, Path]) -> None:
    record = audited(roles, "fresh", recode="never")
    assert record.families["fidelity"].verdict == "fail"
    share = record["fidelity.format_confound"]
    assert share.low is not None
    assert share.low > 0.5
    assert any("compared as stored" in told for told in record.manifest.findings)


def test_a_bad_release_still_fails(roles: dict[str, Path]) -> None:
    record = audited(roles, "gan")
    assert record.families["fidelity"].verdict == "fail"
    share = record["fidelity.format_confound"]
    assert share.high is not None
    assert share.high < 0.5


@pytest.mark.slow
def test_fresh_real_images_as_png_pass_every_gate_of_fidelity_and_coverage(roles: dict[str, Path]) -> None:
    record = audited(roles, "fresh", *WHOLE)
    assert {record.families[family].verdict for family in ("fidelity", "coverage")} == {"pass"}
