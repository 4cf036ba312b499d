"""Tags drawn for pictures, by the commands: run, resume, sample, evaluate, sweep, export, and what they refuse."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax import data
from gan_jax.lab import tagging
from gan_jax.lab.measuring import reference, taggings
from tests.helpers import optimised, read_png
from tests.lab.helpers import call

_RNG = np.random.default_rng(0)
_SMALL = ["--batch-size", 4, "--width", 4, "--hidden", 8, "--latent", 2]
_NAMES = ("bright", "dark", "odd")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "own.npz"
    x, tags = _RNG.integers(0, 256, (24, 8, 8, 3)).astype(np.uint8), _RNG.integers(0, 2, (24, 3))
    np.savez(path, images=x[:16], tags=tags[:16], test_images=x[16:], test_tags=tags[16:], tag_names=np.array(_NAMES))
    return f"tags:npz:{path}"


@pytest.fixture(scope="module")
def run(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    assert call("run", "tagger", "--data", source, *_SMALL, "--steps", 2, "--out", path) == 0
    return path


@pytest.mark.slow
def test_samples_are_pictures_with_the_tags_that_they_are_given(run: Path, source: str, tmp_path: Path) -> None:
    assert call("sample", run, "--n", 6, "--out", tmp_path / "a.npz") == 0
    assert call("sample", run, "--n", 6, "--out", tmp_path / "a.png") == 0
    with np.load(tmp_path / "a.npz") as arrays:
        pictures, tags, names = arrays["images"], arrays["tags"], arrays["tag_names"]
    assert tuple(names) == _NAMES
    assert tags.dtype == np.uint8 and set(np.unique(tags)) <= {0, 1}
    test = data.load(source, "test").conditions
    assert test is not None
    assert all((picture == test).all(axis=(1, 2, 3)).any() for picture in pictures)
    expected = tagging.picture(_NAMES, pictures / 127.5 - 1, tags)
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), expected)
    cell = (expected.shape[1] - 2) // 6
    assert read_png(run / "samples" / "0000002.png").shape[1] == 10 * cell + 2


@pytest.mark.slow
def test_tags_are_those_of_half_the_draws(run: Path, tmp_path: Path) -> None:
    trained = gan_jax.load(run)
    y = np.zeros((1, 8, 8, 3), np.float32)
    z_rng = jax.random.key(5)
    found = tagging.drawer(trained.gan)(trained.state, y, z_rng)
    rngs = jax.random.split(jax.random.fold_in(z_rng, 1), tagging.DRAWS)
    draws = np.stack([trained.gan.generate(trained.state, trained.gan.prior(rng, 1), y) for rng in rngs])
    assert 0 < draws.mean() < 1
    np.testing.assert_array_equal(found, draws.mean(axis=0) >= 0.5)


def test_pictures_of_ones_own_are_tagged(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.png"
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(own)
    assert call("sample", run, "--given", own, "--out", tmp_path / "a.npz") == 0
    with np.load(tmp_path / "a.npz") as arrays:
        assert (arrays["images"] == 200).all() and arrays["tags"].shape == (1, 3)
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(own)
    assert call("sample", run, "--given", own, "--out", tmp_path / "b.png") == 2
    assert "own.png is 9x8 pixels" in capsys.readouterr().err


def test_evaluate_has_the_prior_as_floor_and_a_classifier_as_ceiling(
    run: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taggings, "STEPS", 2)
    assert call("evaluate", run, "--sets", 2, "--n", 10) == 0
    found = json.loads((run / "evaluation.json").read_text())["metrics"]
    assert list(found) == ["tag_precision", "tag_recall", "tag_f1", "exact_match"]
    train, test = data.load(source), data.load(source, "test")
    drawn = train.x[np.random.default_rng(0).integers(16, size=8)]
    order = np.random.default_rng(0).permutation(8)
    assert found["exact_match"]["floor"] == pytest.approx(np.mean((drawn == test.x[order]).all(axis=1)))
    assert found["tag_recall"]["floor"] == pytest.approx((drawn * test.x[order]).sum() / test.x.sum())
    assert 0 <= found["exact_match"]["ceiling"] <= 1


@pytest.mark.slow
def test_the_classifier_of_the_ceiling_learns_tags(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(taggings, "STEPS", 60)
    x = np.zeros((64, 8, 8, 1), np.uint8)
    tags = _RNG.integers(0, 2, (64, 2))
    x[tags[:, 0] == 1, :4], x[tags[:, 1] == 1, :, :4] = 255, 255
    np.savez(tmp_path / "easy.npz", images=x, tags=tags, tag_names=np.array(["top", "left"]))
    real = reference.load(f"tags:npz:{tmp_path / 'easy.npz'}", conditional=False)
    with optimised():
        assert taggings.of_classifier(real, 64)["exact_match"] > 0.95


@pytest.mark.slow
def test_members_of_a_sweep_are_scored_by_exact_match(source: str, tmp_path: Path) -> None:
    typed = ["--data", source, *_SMALL, "--steps", 2, "--gamma", "0,0.1", "--lr", 1e-3, "--score-samples", 100]
    assert call("sweep", "tagger", *typed, "--seeds", 1, "--out", tmp_path / "sweep") == 0
    rows = (tmp_path / "sweep" / "members.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 and "exact_match" in rows[0]
    assert (tmp_path / "sweep" / "samples.png").exists()
    assert call("sample", tmp_path / "sweep" / "best", "--out", tmp_path / "best.png") == 0


@pytest.mark.slow
def test_a_report_shows_the_run(run: Path, tmp_path: Path) -> None:
    assert call("report", run, "--out", tmp_path / "r.html") == 0
    assert (tmp_path / "r.html").stat().st_size > 1000


def test_what_can_not_be_is_one_sentence_and_exit_code_2(
    run: Path, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "nameless.npz", images=np.zeros((4, 8, 8, 1), np.uint8), tags=np.eye(4))
    for argv, words in (
        (["run", "gan", "--data", source], "gan does not draw tags of pictures"),
        (["sweep", "gan", "--data", source, "--lr", "1e-3,1e-4"], "gan does not draw tags of pictures"),
        (["run", "tagger", "--data", "mnist"], "this data is images: choose --data tags:SPEC"),
        (["run", "tagger", "--data", "ring"], "no pictures with tags"),
        (["run", "tagger", "--data", f"tags:npz:{tmp_path / 'nameless.npz'}"], "its tags have no names"),
        (["run", "translation", "--data", source], "got 3"),
        (["sample", run, "--interpolate", "--out", tmp_path / "a.png"], "leave out --interpolate"),
        (["sample", run, "--seeds", "1,2", "--out", tmp_path / "a.png"], "leave out --interpolate, --seeds"),
        (["sample", run, "--code", "c1", "--out", tmp_path / "a.png"], "tagger has no codes"),
        (["sample", run, "--label", "bright", "--out", tmp_path / "a.png"], "not conditioned on labels"),
        (["evaluate", run, "--metrics", "sliced"], "sliced does not fit tagger"),
        (["evaluate", run, "--features", "random"], "is tags, which need no features"),
    ):
        typed = [*argv, "--out", tmp_path / "out"] if "--out" not in argv and argv[0] != "evaluate" else argv
        assert call(*typed) == 2, argv
        error = capsys.readouterr().err
        assert words in error, error
        assert error.count("\n") == 1, error
    assert not (tmp_path / "out").exists()


def test_a_run_whose_tags_were_renamed_is_refused(source: str, run: Path, tmp_path: Path) -> None:
    path = Path(source.removeprefix("tags:npz:"))
    shutil.copy(path, tmp_path / "kept.npz")
    with np.load(path) as arrays:
        changed = dict(arrays) | {"tag_names": np.array(["a", "b", "c"])}
    try:
        np.savez(path, **changed)
        assert call("sample", run, "--out", tmp_path / "a.png") == 2
    finally:
        shutil.copy(tmp_path / "kept.npz", path)
