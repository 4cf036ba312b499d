"""Images from pictures, by the commands: run, sample --given, evaluate, sweep, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_jax import data
from tests.helpers import read_png
from tests.lab.exports.helpers import made
from tests.lab.helpers import call

_RNG = np.random.default_rng(0)
_SMALL = ["--steps", 2, "--batch-size", 4, "--width", 4]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two steps: colours from grey, and of pairs."""
    folder = tmp_path_factory.mktemp("runs")
    x = _RNG.integers(0, 256, (24, 8, 8, 3)).astype(np.uint8)
    np.savez(folder / "colours.npz", images=x[:16], test_images=x[16:])
    np.savez(
        folder / "pairs.npz", images=x[:16], conditions=255 - x[:16], test_images=x[16:], test_conditions=255 - x[16:]
    )
    made(folder / "colours", "translation", f"npz:{folder / 'colours'}.npz", condition="grey", width="4")
    source = ["--data", f"npz:{folder / 'pairs'}.npz", "--condition", "pairs"]
    assert call("run", "translation", *source, *_SMALL, "--out", folder / "pairs") == 0
    return folder


def test_grids_show_given_made_and_true(runs: Path, tmp_path: Path) -> None:
    assert call("sample", runs / "pairs", "--out", tmp_path / "a.png") == 0
    for picture in (read_png(tmp_path / "a.png"), read_png(runs / "pairs" / "samples" / "0000002.png")):
        # Ten rows of three times three, of 8 pixels and 2 between.
        assert picture.shape == (10 * 10 + 2, 9 * 10 + 2, 3)
        cells = np.stack([picture[2:10, 2 + 10 * k : 10 + 10 * k] for k in range(9)])
        np.testing.assert_array_equal(cells[0::3], 255 - cells[2::3])
        assert (cells[1::3] != cells[2::3]).any()


@pytest.mark.slow
def test_arrays_are_pairs_again(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "made.npz"
    assert call("sample", runs / "colours", "--n", 5, "--out", out) == 0
    made = data.load(f"npz:{out}")
    assert made.x.shape == (5, 8, 8, 3)
    assert made.conditions is not None
    assert (made.conditions == made.conditions[..., :1]).all()


def test_pictures_of_ones_own_are_translated(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    pixels = _RNG.integers(0, 256, (2, 8, 8)).astype(np.uint8)
    for name, x in zip("ba", pixels, strict=True):
        Image.fromarray(x).save(tmp_path / "own" / f"{name}.png")
    assert call("sample", runs / "colours", "--given", tmp_path / "own", "--out", tmp_path / "grid.png") == 0
    picture = read_png(tmp_path / "grid.png")
    assert picture.shape == (12, 4 * 10 + 2, 3)
    np.testing.assert_array_equal(picture[2:10, 2:10], np.repeat(pixels[1][..., None], 3, axis=-1))
    np.testing.assert_array_equal(picture[2:10, 22:30], np.repeat(pixels[0][..., None], 3, axis=-1))


@pytest.mark.slow
def test_pictures_of_another_size_are_resized_only_when_asked(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.png"
    Image.fromarray(np.full((9, 7, 3), 90, np.uint8)).save(own)
    assert call("sample", runs / "colours", "--given", own, "--out", tmp_path / "a.png") == 2
    error = capsys.readouterr().err
    assert "own.png is 7x9 pixels and this run makes images from pictures of 8x8: give one of that size" in error
    assert error.count("\n") == 1
    assert call("sample", runs / "colours", "--given", own, "--resize", "--out", tmp_path / "a.png") == 0
    assert (read_png(tmp_path / "a.png")[2:10, 2:10] == 90).all()


def test_evaluate_compares_with_the_true_images_and_with_answers_that_need_no_learning(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", runs / "colours", "--metrics", "pairs", "--n", 10, "--sets", 2) == 0
    found = json.loads((runs / "colours" / "evaluation.json").read_text())["metrics"]
    assert list(found) == ["l1", "psnr", "ssim", "z_effect"]
    with np.load(runs / "colours.npz") as arrays:
        true, train = arrays["test_images"] / 255, arrays["images"]
    luma = (true @ np.array([0.299, 0.587, 0.114]))[..., None]
    mean = np.round(train.mean(axis=0)) / 255
    floors = [np.mean(-10 * np.log10(((answer - true) ** 2).mean(axis=(1, 2, 3)))) for answer in (luma, mean)]
    assert found["psnr"]["floor"] == pytest.approx(max(floors), abs=0.02)
    assert found["l1"]["ceiling"] is not None
    assert found["z_effect"]["value"] > 0


@pytest.mark.slow
def test_members_of_a_sweep_are_scored_against_the_true_images(runs: Path, tmp_path: Path) -> None:
    typed = ["--data", f"npz:{runs / 'colours.npz'}", "--condition", "grey,outline", "--l1", "0,100", *_SMALL]
    sweep = ["--metric", "pairs", "--score-samples", 100, "--seeds", 1, "--out", tmp_path / "sweep"]
    assert call("sweep", "translation", *typed, *sweep) == 0
    rows = (tmp_path / "sweep" / "members.csv").read_text().splitlines()
    assert len(rows) == 1 + 4
    assert "psnr" in rows[0]
    assert call("sample", tmp_path / "sweep" / "best", "--out", tmp_path / "best.png") == 0


@pytest.mark.slow
def test_a_resumed_run_has_the_bits_of_one_that_was_not_cut(runs: Path, tmp_path: Path) -> None:
    source = [
        "--data",
        f"npz:{runs / 'colours.npz'}",
        "--condition",
        "masked",
        "--lr",
        1e-3,
        "--batch-size",
        4,
        "--width",
        4,
    ]
    for out, steps in (("cut", 1), ("whole", 3)):
        assert call("run", "translation", *source, "--steps", steps, "--out", tmp_path / out) == 0
    assert call("run", "translation", "--resume", tmp_path / "cut", "--steps", 3) == 0
    cut, whole = (read_png(tmp_path / out / "samples" / "0000003.png") for out in ("cut", "whole"))
    np.testing.assert_array_equal(cut, whole)


def test_what_can_not_be_is_one_sentence_and_exit_code_2(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    colours, x = f"npz:{runs / 'colours.npz'}", np.zeros((4, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "grey.npz", images=x)
    np.savez(tmp_path / "sizes.npz", images=x, conditions=x[:, :4])
    np.savez(tmp_path / "counts.npz", images=x, conditions=x[:3])
    (tmp_path / "text.png").write_text("no picture")
    run, out = ["run", "translation", "--out", tmp_path / "out"], ["--out", tmp_path / "a.png"]
    for argv, words in (
        ([*run, "--data", f"npz:{tmp_path / 'grey.npz'}", "--condition", "grey"], "nothing is left to colour"),
        ([*run, "--data", f"npz:{tmp_path / 'sizes.npz'}", "--condition", "pairs"], "one of its own size"),
        ([*run, "--data", f"npz:{tmp_path / 'counts.npz'}", "--condition", "pairs"], "exactly one per image"),
        ([*run, "--data", colours, "--condition", "pairs"], "no pictures to make images from"),
        ([*run, "--data", colours, "--condition", "gray"], "there is no condition 'gray'"),
        (["sweep", *run[1:], "--data", colours, "--condition", "pairs", "--lr", "1,2"], "no pictures"),
        (["sample", runs / "colours", "--resize", *out], "--resize is for pictures of your own"),
        (["sample", runs / "colours", "--given", tmp_path / "none.png", *out], "none.png: give the file of a picture"),
        (["sample", runs / "colours", "--given", tmp_path / "text.png", *out], "not a readable image"),
        (["sample", runs / "colours", "--given", runs / "colours" / "checkpoints", *out], "there are no images"),
    ):
        assert call(*argv) == 2, argv
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out").exists() and not (tmp_path / "a.png").exists()
