from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageSequence

import gan_jax
from gan_jax import InputError, data, images
from gan_jax.data import Dataset
from gan_jax.lab import sampling
from tests.helpers import few, few_rows, read_png
from tests.lab.exports.helpers import made
from tests.lab.helpers import call, tiny


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny run of two steps each of an unconditional, a labelled, an image-conditioned, a coded and a toy GAN."""
    folder = tmp_path_factory.mktemp("runs")
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    np.savez(folder / "tiny.npz", images=pixels, labels=np.arange(60) % 3)
    np.savez(folder / "gaps.npz", images=pixels, labels=np.array([3, 8, 12])[np.arange(60) % 3])
    np.savez(folder / "words.npz", images=pixels, labels=np.array(["dog", "cat", "circle"])[np.arange(60) % 3])
    for name, source in _DATA.items():
        spec = source if source == "ring" else f"npz:{folder / source}"
        if name == "cgan":  # It has a grid, too.
            assert call("run", name, "--data", spec, "--steps", 2, *tiny(name), "--out", folder / name) == 0
        else:
            made(folder / name, name.partition("-")[0], spec)
    return folder


_DATA = {
    "gan": "tiny.npz",
    "cgan": "tiny.npz",
    "completion": "tiny.npz",
    "infogan": "tiny.npz",
    "wgan": "ring",
    "cgan-gaps": "gaps.npz",
    "cgan-words": "words.npz",
}


def _of_label(run: Path, label: int, seed: int) -> np.ndarray:
    """What the network gives for a label, by the engine alone."""
    trained = gan_jax.load(run)
    z_rng, _ = jax.random.split(jax.random.key(seed))
    generate = sampling.generator_of(trained.gan)
    return generate(trained.state, trained.gan.prior(z_rng, 4), jnp.full((4,), label, jnp.int32))


@pytest.mark.parametrize(
    ("run", "typed", "label", "written"),
    few_rows(
        [
            ("cgan", "2", 2, 2),
            ("cgan", "02", 2, 2),
            ("cgan-gaps", "3", 0, 3),
            ("cgan-gaps", "8", 1, 8),
            ("cgan-gaps", "12", 2, 12),
            ("cgan-words", "cat", 0, "cat"),
            ("cgan-words", "circle", 1, "circle"),
            ("cgan-words", "dog", 2, "dog"),
        ],
        ("cgan", "02", 2, 2),
        ("cgan-gaps", "8", 1, 8),
        ("cgan-words", "dog", 2, "dog"),
    ),
)
def test_a_class_is_asked_for_by_its_own_name(
    run: str,
    typed: str,
    label: int,
    written: int | str,
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "a.npz"
    assert call("sample", runs / run, "--label", typed, "--n", 4, "--seed", 5, "--out", out) == 0
    assert f"4 samples of class {written} at step 2" in capsys.readouterr().out
    with np.load(out, allow_pickle=False) as arrays:
        assert arrays["labels"].tolist() == [written] * 4
        np.testing.assert_array_equal(arrays["images"], _of_label(runs / run, label, 5))


@pytest.mark.parametrize(
    ("run", "names"),
    few_rows(
        [("cgan", [0, 1, 2]), ("cgan-gaps", [3, 8, 12]), ("cgan-words", ["cat", "circle", "dog"])],
        ("cgan-gaps", [3, 8, 12]),
    ),
)
def test_only_classes_that_occur_are_drawn_and_shown(
    run: str, names: list[int | str], runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("sample", runs / run, "--n", 60, "--out", tmp_path / "a.npz") == 0
    assert call("sample", runs / run, "--classes", "--out", tmp_path / "b.npz") == 0
    assert f"a row per class, from the top: {', '.join(map(str, names))}\n" in capsys.readouterr().out
    with np.load(tmp_path / "a.npz") as drawn, np.load(tmp_path / "b.npz") as shown:
        assert sorted(set(drawn["labels"].tolist())) == names
        assert shown["labels"].tolist() == [name for name in names for _ in range(10)]


def test_samples_written_are_data_of_the_same_classes(runs: Path, tmp_path: Path) -> None:
    for run, source in (("cgan-gaps", "gaps"), ("cgan-words", "words")):
        assert call("sample", runs / run, "--classes", "--out", tmp_path / "a.npz") == 0
        assert data.load(f"npz:{tmp_path / 'a.npz'}").classes == data.load(f"npz:{runs / source}.npz").classes


def test_a_row_that_walks_is_of_one_class_and_the_rows_of_all(runs: Path, tmp_path: Path) -> None:
    assert call("sample", runs / "cgan", "--classes", "--interpolate", "--out", tmp_path / "a.npz") == 0
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["labels"].reshape(3, 10).tolist() == [[0] * 10, [1] * 10, [2] * 10]


def test_the_data_of_the_conditions_must_be_that_of_the_run(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(runs / "tiny.npz") as arrays:
        np.savez(tmp_path / "tiny.npz", images=arrays["images"], labels=arrays["labels"])
    pixels = np.zeros((61, 8, 8, 1), np.uint8)
    made(tmp_path / "run", "completion", f"npz:{tmp_path / 'tiny.npz'}")
    np.savez(tmp_path / "tiny.npz", images=pixels, labels=np.arange(61) % 3)
    capsys.readouterr()
    assert call("sample", tmp_path / "run", "--out", tmp_path / "a.png") == 2
    error = capsys.readouterr().err
    assert "has changed since this run was started, it had 60 examples and has 61" in error
    assert error.count("\n") == 1


def test_arrays_hold_images_and_labels(runs: Path, tmp_path: Path) -> None:
    assert call("sample", runs / "cgan", "--n", 523, "--out", tmp_path / "a.npz") == 0
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["images", "labels"]
        assert arrays["images"].shape == (523, 8, 8, 1)
        assert arrays["images"].dtype == np.uint8
        assert arrays["labels"].dtype == np.int32
        # 523 uniform draws of three classes: each within five standard deviations of 174.
        assert np.all(np.abs(np.bincount(arrays["labels"], minlength=3) - 523 / 3) < 5 * np.sqrt(523 * 2 / 9))


def test_a_label_is_what_every_sample_is_of(runs: Path, tmp_path: Path) -> None:
    assert call("sample", runs / "cgan", "--label", 2, "--n", 16, "--out", tmp_path / "a.npz") == 0
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["labels"].tolist() == [2] * 16


@pytest.mark.parametrize(("name", "keys", "shape"), [
    ("gan", ["images"], (7, 8, 8, 1)), ("completion", ["images"], (7, 8, 8, 1)), ("wgan", ["images"], (7, 2)),
])  # fmt: skip
def test_unlabelled_runs_give_arrays_without_labels(
    runs: Path, tmp_path: Path, name: str, keys: list[str], shape: tuple[int, ...]
) -> None:
    assert call("sample", runs / name, "--n", 7, "--out", tmp_path / "a.npz") == 0
    with np.load(tmp_path / "a.npz") as arrays:
        assert sorted(arrays) == keys
        assert arrays["images"].shape == shape


def test_the_seed_decides_the_samples(runs: Path, tmp_path: Path) -> None:
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert call("sample", runs / "gan", "--seed", seed, "--out", tmp_path / f"{out}.png") == 0
    a, b, c = (read_png(tmp_path / f"{out}.png") for out in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_classes_stand_one_a_row(runs: Path, tmp_path: Path) -> None:
    assert call("sample", runs / "cgan", "--classes", "--out", tmp_path / "a.npz") == 0
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["labels"].reshape(3, 10).tolist() == [[0] * 10, [1] * 10, [2] * 10]
        grid = images.grid(arrays["images"], 10)
    assert call("sample", runs / "cgan", "--classes", "--out", tmp_path / "a.png") == 0
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), images.named_rows(grid, ["0", "1", "2"]))


def test_interpolations_start_and_end_at_the_latents_given() -> None:
    ends = jax.random.normal(jax.random.key(0), (4, 3))
    walk = sampling.interpolations(ends, 5).reshape(2, 5, 3)
    np.testing.assert_allclose(walk[:, 0], ends[0::2], rtol=1e-6)
    np.testing.assert_allclose(walk[:, -1], ends[1::2], rtol=1e-6)
    middle = jnp.linalg.norm(walk[:, 2], axis=-1)
    np.testing.assert_allclose(
        middle, (jnp.linalg.norm(ends[0::2], axis=-1) + jnp.linalg.norm(ends[1::2], axis=-1)) / 2, rtol=1e-5
    )


@pytest.mark.parametrize(("code", "values"), [("c1", np.arange(10)), ("c3", np.linspace(-2, 2, 10, dtype=np.float32))])
def test_along_a_row_one_code_changes_and_nothing_else(
    code: str, values: np.ndarray, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("sample", runs / "infogan", "--code", code, "--n", 21, "--seed", 3, "--out", tmp_path / "a.npz") == 0
    assert f"along every row {code} changes and nothing else" in capsys.readouterr().out
    with np.load(tmp_path / "a.npz") as arrays:
        assert sorted(arrays) == ["c1", "c2", "c3", "images"]
        y = {name: arrays[name].reshape(3, 10) for name in ("c1", "c2", "c3")}
        shown = arrays["images"]
    for name in y:
        changes = y[name] != y[name][:, :1]
        assert changes[:, 1:].all() if name == code else not changes.any()
    np.testing.assert_allclose(y[code], np.tile(values, (3, 1)), atol=1e-6)
    assert len(np.unique(y["c2"][:, 0])) == (3 if code != "c2" else 1)
    trained = gan_jax.load(runs / "infogan")
    z = trained.gan.prior(jax.random.split(jax.random.key(3))[0], 3)
    flat = {name: jnp.asarray(of.ravel()) for name, of in y.items()}
    generate = sampling.generator_of(trained.gan)
    np.testing.assert_array_equal(generate(trained.state, jnp.repeat(z, 10, axis=0), flat), shown)


def test_codes_are_drawn_or_given(runs: Path, tmp_path: Path) -> None:
    assert call("sample", runs / "infogan", "--n", 12, "--seed", 4, "--out", tmp_path / "a.npz") == 0
    trained = gan_jax.load(runs / "infogan")
    with np.load(tmp_path / "a.npz") as arrays:
        assert len(np.unique(arrays["c2"])) == 12
        y = {name: arrays[name] for name in ("c1", "c2", "c3")}
        np.testing.assert_array_equal(trained.sample(12, seed=4), arrays["images"])
        np.testing.assert_array_equal(trained.sample(12, y=y, seed=4), arrays["images"])
    with pytest.raises(InputError, match=r"infogan has the codes c1, c2, c3: give y as a dict of them, each \[12\]"):
        trained.sample(12, y=y["c1"])


def test_any_checkpoint_that_is_kept_can_be_sampled(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps 2, 4 and 6 are saved, and the last two kept."""
    options = ["--data", f"npz:{runs / 'tiny.npz'}", *tiny("gan"), "--lr", 0.1, "--save-every", 2]
    assert call("run", "gan", *options, "--steps", 6, "--out", tmp_path / "run") == 0
    capsys.readouterr()
    found = {}
    for typed, step in (([], 6), (["--step", 6], 6), (["--step", 4], 4)):
        out = tmp_path / f"{len(found)}.npz"
        assert call("sample", tmp_path / "run", *typed, "--n", 4, "--out", out) == 0
        assert capsys.readouterr().out == f"4 samples at step {step}: {out}\n"
        with np.load(out) as arrays:
            found[tuple(typed)] = arrays["images"]
    newest, named, earlier = found.values()
    assert np.array_equal(newest, named)
    assert not np.array_equal(newest, earlier)
    for typed, words in (
        (["--step", 2], "holds no checkpoint of step 2: choose one of 4, 6"),
        (["--step", -1], "at least 0"),
        (["--step", 4, "--best"], "not allowed with"),
        (["--best"], "kept no best checkpoint"),
    ):
        assert call("sample", tmp_path / "run", *typed, "--out", tmp_path / "b.npz") == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert not (tmp_path / "b.npz").exists()


@pytest.mark.parametrize("name", few(["gan", "cgan", "completion", "infogan"], "cgan"))
def test_interpolation_draws_a_grid(runs: Path, tmp_path: Path, name: str) -> None:
    assert call("sample", runs / name, "--interpolate", "--n", 20, "--out", tmp_path / "a.png") == 0
    assert read_png(tmp_path / "a.png").shape == (2 + 2 * 10, 2 + 10 * 10, 3)


@pytest.mark.parametrize(("name", "typed", "size"), [
    pytest.param("gan", ["--n", "4"], 2 * 10 + 2, marks=pytest.mark.slow), ("cgan", ["--label", "2", "--n", "4"], 22),
    pytest.param("wgan", ["--n", "9"], None, marks=pytest.mark.slow),
])  # fmt: skip
def test_a_walk_moves_and_comes_back(
    name: str, typed: list[str], size: int | None, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if size is None:
        monkeypatch.setattr(images, "scatter", lambda points, reference: np.full((9, 9, 3), len(points), np.uint8))
    assert call("sample", runs / name, "--interpolate", tmp_path / "a.webp", *typed) == 0
    assert f"{typed[-1]} walks through 4 latents" in capsys.readouterr().out
    with Image.open(tmp_path / "a.webp") as moving:
        durations = []
        for frame in ImageSequence.Iterator(moving):
            frame.load()
            durations.append(frame.info["duration"])
        # Equal frames are one, which lasts as long as all of them.
        assert len(durations) > 60 and sum(durations) == 80 * 50 if size else len(durations) == 1
        factor = 1 if size is None else -(-300 // size)
        assert moving.size == ((9, 9) if size is None else (size * factor, size * factor))


def test_the_history_is_that_of_the_run(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("sample", runs / "cgan", "--history", "--out", tmp_path / "a.png") == 0
    assert capsys.readouterr().out == f"1 of 1 grids, steps 2 to 2: {tmp_path / 'a.png'}\n"
    grid = read_png(runs / "cgan" / "samples" / "0000002.png")
    assert np.array_equal(read_png(tmp_path / "a.png")[8 : 8 + len(grid), 8 : 8 + grid.shape[1]], grid)
    assert call("sample", runs / "cgan", "--history", tmp_path / "a.gif") == 0
    assert (tmp_path / "a.gif").exists()


@pytest.mark.parametrize("name", few(["gan", "cgan", "completion", "wgan"], "completion"))
def test_a_sample_is_found_again_by_its_seed(
    name: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("sample", runs / name, "--seed-grid", "--seed", 5, "--n", 13, "--out", tmp_path / "a.npz") == 0
    rows = [list(map(int, line.split())) for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == [[*range(5, 15)], [15, 16, 17]]
    assert call("sample", runs / name, "--seeds", "17,5,9", "--out", tmp_path / "b.npz") == 0
    with np.load(tmp_path / "a.npz") as all_of_them, np.load(tmp_path / "b.npz") as some:
        assert all_of_them["seeds"].tolist() == [*range(5, 18)]
        assert some["seeds"].tolist() == [17, 5, 9]
        for key in some:
            np.testing.assert_allclose(some[key], all_of_them[key][[12, 0, 4]], rtol=1e-5, atol=1e-6, err_msg=key)
        if name == "completion":
            assert len(np.unique(some["images"][:, :4], axis=0)) == 3
        else:
            alone = [gan_jax.load(runs / name).sample(1, seed=seed)[0] for seed in (17, 5, 9)]
            np.testing.assert_allclose(some["images"], alone, rtol=1e-5, atol=1e-6)


def test_seeds_decide_latents_alone_and_under_any_generator_of_random_numbers() -> None:
    gan = gan_jax.recipes.cgan((8, 8, 1), 3, width=8)
    seeds = [3, 0, 2**32 - 1, 2**31]
    for implementation in ("threefry2x32", "rbg"):
        with jax.default_prng_impl(implementation):
            z, y = sampling.of_seeds(gan, seeds)
            for k, seed in enumerate(seeds):
                z_rng, y_rng = jax.random.split(jax.random.key(seed))
                np.testing.assert_array_equal(z[k], gan.prior(z_rng, 1)[0])
                assert y[k] == gan.conditioning.draw(y_rng, 1)[0]


def test_a_label_is_of_every_seed(runs: Path, tmp_path: Path) -> None:
    assert call("sample", runs / "cgan", "--seeds", "4,7", "--label", 2, "--out", tmp_path / "a.npz") == 0
    with np.load(tmp_path / "a.npz") as found:
        expected = [gan_jax.load(runs / "cgan").sample(1, label=2, seed=seed)[0] for seed in (4, 7)]
        assert found["labels"].tolist() == [2, 2]
        np.testing.assert_array_equal(found["images"], expected)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--history", "a.gif", "--n", "3"], "--history and --n exclude each other"),
        (["--history", "a.gif", "--interpolate"], "--history and --interpolate exclude each other"),
        (["--history", "a.npz"], "must end in .gif or .webp (moving) or .png (a sheet)"),
        (["--history", "a.gif", "--out", "b.gif"], "name one file"),
        (["--history"], "required: --out"),
        (["--interpolate"], "required: --out"),
        (["--interpolate", "runs"], "RUN comes first"),
        (["--out", "a.gif"], "must end in .png (a grid) or .npz (arrays)"),
        (["--seeds", "1,b", "--out", "a.png"], "expected seeds A,B,C, whole numbers from 0 to 4294967295, got '1,b'"),
        (["--seeds", "4294967296", "--out", "a.png"], "expected seeds"),
        (["--seeds", "1,2", "--n", "3", "--out", "a.png"], "--seeds and --n exclude each other"),
        (["--seeds", "1,2", "--seed", "0", "--out", "a.png"], "--seeds and --seed exclude each other"),
        (["--seed-grid", "--interpolate", "a.png"], "--seed-grid and --interpolate exclude each other"),
        (["--seed-grid", "--seed", "4294967295", "--n", "2", "--out", "a.png"], "choose a lower --seed"),
    ],
)
def test_what_excludes_itself_is_one_sentence(
    typed: list[str],
    words: str,
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("sample", runs / "gan", *typed) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


_BAD: dict[str, tuple[list[str], str]] = {
    "label for an unconditional model": (["gan", "--label", "1"], "not conditioned on labels"),
    "classes of an unconditional model": (["gan", "--classes"], "not conditioned on labels"),
    "label too large": (["cgan", "--label", "3"], "there is no class 3: this data has 0 to 2"),
    "label negative": (["cgan", "--label", "-1"], "there is no class -1"),
    "label that is no whole number": (["cgan", "--label", "1.5"], "there is no class 1.5: this data has 0 to 2"),
    "label that is a word": (["cgan", "--label", "circle"], "there is no class circle: this data has 0 to 2"),
    "label without an example": (["cgan-gaps", "--label", "0"], "there is no class 0: this data has 3, 8, 12"),
    "label that is a position": (["cgan-words", "--label", "1"], "there is no class 1: this data has cat, circle, dog"),
    "label mistyped": (["cgan-words", "--label", "circel"], "there is no class circel (did you mean circle?)"),
    "label in another case": (["cgan-words", "--label", "Dog"], "did you mean dog?"),
    "code that there is not": (
        ["infogan", "--code", "c4"],
        "infogan has no code c4: it has c1 (10 classes), c2 (continuous), c3 (continuous)",
    ),
    "code of a model without": (["cgan", "--code", "c1"], "cgan has no codes: leave out --code"),
    "code and interpolation": (["infogan", "--code", "c1", "--interpolate"], "--code walks on its own"),
    "label for codes": (["infogan", "--label", "1"], "not conditioned on labels"),
    "no run": (["nowhere"], "not a run"),
    "no samples": (["gan", "--n", "0"], "at least 1"),
}


@pytest.mark.parametrize("case", _BAD)
def test_bad_input_is_one_sentence_and_exit_code_2(
    case: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (name, *options), words = _BAD[case]
    assert call("sample", runs / name, *options, "--out", tmp_path / "a.png") == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("out", "words"), [("a.jpg", ".png"), ("nowhere/a.png", "no directory"), ("/proc/a.png", "written")]
)
def test_an_output_that_can_not_be_is_refused(
    out: str,
    words: str,
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("sample", runs / "gan", "--out", out) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{", "[]", '{"experiment": "gan"}', '{"experiment": "gan", "options": {}}'])
def test_a_config_that_is_not_one_is_refused(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text(content)
    assert call("sample", tmp_path, "--out", tmp_path / "a.png") == 2
    assert "config.json" in capsys.readouterr().err


def test_points_are_drawn_over_those_of_the_data(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []

    def noting(points: np.ndarray, reference: np.ndarray | None = None) -> np.ndarray:
        drawn.append((points, reference))
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr(images, "scatter", noting)
    assert call("sample", runs / "wgan", "--out", tmp_path / "a.png") == 0
    ((points, reference),) = drawn
    assert points.shape == reference.shape == (2500, 2)
    ring = {point.tobytes() for point in data.load("ring").x}
    assert all(point.tobytes() in ring for point in reference)
    # Of every mode, also where the data is sorted.
    assert len(np.unique(reference.round(1), axis=0)) >= 8


def test_points_of_data_that_is_gone_are_drawn_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "points.npz", images=np.random.default_rng(0).standard_normal((50, 2)).astype(np.float32))
    made(tmp_path / "run", "gan", f"npz:{tmp_path / 'points.npz'}")
    (tmp_path / "points.npz").unlink()
    capsys.readouterr()
    assert call("sample", tmp_path / "run", "--out", tmp_path / "a.png") == 0
    assert "the picture is without the data: the data of this run" in capsys.readouterr().out
    assert read_png(tmp_path / "a.png").shape == (480, 480, 3)


def test_sorted_data_is_shown_from_end_to_end() -> None:
    shown = sampling.points_of(Dataset("sorted", np.arange(30_000, dtype=np.float32)[:, None]))
    assert shown is not None
    assert shown.shape == (2500, 1) and len(np.unique(shown)) == 2500
    assert shown.min() < 100 and shown.max() > 29_900
    assert sampling.points_of(Dataset("images", np.zeros((2, 3, 3, 1), np.uint8))) is None
