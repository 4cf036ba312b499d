import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import gan_jax
from gan_jax import GAN, InputError, recipes
from gan_jax.lab import EXPERIMENTS, Experiment, Trained
from gan_jax.typing import Rate, Shape
from tests.helpers import assert_same, differ
from tests.lab.exports.helpers import made
from tests.lab.helpers import call, tiny


def _mine(shape: Shape, num_classes: int = 0, *, lr: Rate = 1e-3, width: int = 8) -> GAN:
    """A recipe of somebody's own."""
    return recipes.gan(shape, num_classes, lr=lr, width=width, latent=2)


_TABLE = EXPERIMENTS | {"mine": Experiment(_mine, steps=2, batch_size=4)}


@pytest.fixture(scope="module", autouse=True)
def _runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tiny runs: of labelled images, of images with a condition, of points with a best checkpoint, of one's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("runs"))
        pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
        np.savez("tiny.npz", images=pixels, labels=np.arange(60) % 3)
        images = ["--data", "npz:tiny.npz", "--lr", 0.1]
        assert call("run", "cgan", *tiny("cgan"), *images, "--steps", 4, "--save-every", 2, "--out", "cgan") == 0
        made(Path("completion"), "completion", "npz:tiny.npz")
        ring = ["--data", "ring", *tiny("gan", points=True), "--lr", 0.01, "--track", "sliced"]
        assert call("run", "gan", *ring, "--track-every", 2, "--steps", 12, "--out", "ring") == 0
        made(Path("mine"), "mine", "ring", _TABLE)
        yield


def test_images_come_as_uint8_and_points_as_float32() -> None:
    images = gan_jax.load("cgan").sample(7)
    assert (images.shape, images.dtype) == ((7, 8, 8, 1), np.uint8)
    points = gan_jax.load(Path("ring")).sample(523)
    assert (points.shape, points.dtype) == ((523, 2), np.float32)


def test_a_loaded_run_is_its_gan_its_state_and_its_job() -> None:
    loaded = gan_jax.load("cgan")
    assert isinstance(loaded, Trained)
    assert loaded.gan.conditioning.kind == "labels"
    assert int(loaded.state.step) == 4
    assert (loaded.job.config.name, loaded.job.options["lr"], loaded.job.options["save_every"]) == ("cgan", 0.1, 2)
    assert (loaded.job.shape, loaded.job.num_classes) == ((8, 8, 1), 3)


@pytest.mark.parametrize(("typed", "options"), [([], {}), (["--label", 2], {"label": 2})])
def test_samples_are_those_of_the_command(typed: list[object], options: dict[str, int]) -> None:
    assert call("sample", "cgan", *typed, "--n", 12, "--seed", 3, "--out", "a.npz") == 0
    with np.load("a.npz") as arrays:
        assert_same(gan_jax.load("cgan").sample(12, seed=3, **options), arrays["images"])


def test_labels_are_the_one_asked_for_or_one_each() -> None:
    loaded = gan_jax.load("cgan")
    together = loaded.sample(3, y=[0, 1, 2])
    for label in range(3):
        assert_same(loaded.sample(3, label=label)[label], together[label])
    assert differ(loaded.sample(3, label=0), loaded.sample(3, label=1))
    assert_same(loaded.sample(3, label=1), loaded.sample(3, y=np.array([1, 1, 1])))


def test_the_seed_decides_the_samples() -> None:
    loaded = gan_jax.load("ring")
    assert_same(loaded.sample(5), loaded.sample(5, seed=0))
    assert differ(loaded.sample(5), loaded.sample(5, seed=1))


def test_conditions_that_are_no_labels_are_given() -> None:
    loaded = gan_jax.load("completion")
    with np.load("tiny.npz") as arrays:
        upper = arrays["images"][:5, :4]
    low, high = loaded.gan.data_range
    images = loaded.sample(5, y=low + (high - low) * upper.astype(np.float32) / 255)
    assert (images.shape, images.dtype) == ((5, 8, 8, 1), np.uint8)
    assert_same(images[:, :4], upper)
    with pytest.raises(InputError, match="give them as y"):
        loaded.sample(5)


def test_any_checkpoint_that_is_kept_can_be_loaded() -> None:
    for options, step in (({}, 4), ({"step": 4}, 4), ({"step": 2}, 2)):
        assert int(gan_jax.load("cgan", **options).state.step) == step
    assert differ(gan_jax.load("cgan", step=2).sample(3), gan_jax.load("cgan").sample(3))
    best = json.loads(Path("ring/best.json").read_text())["step"]
    assert int(gan_jax.load("ring", best=True).state.step) == best
    assert int(gan_jax.load("ring").state.step) == 12


def test_a_run_of_an_experiment_of_ones_own_needs_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert gan_jax.load("mine", table=_TABLE).sample(4).shape == (4, 2)
    assert gan_jax.load("cgan", table=_TABLE).sample(4).shape == (4, 8, 8, 1)
    with pytest.raises(InputError, match=r"mine: there is no experiment 'mine' here.*or pass its table"):
        gan_jax.load("mine")
    capsys.readouterr()
    assert call("sample", "mine", "--out", "b.png") == 2
    error = capsys.readouterr().err
    assert "there is no experiment 'mine' here" in error
    assert error.count("\n") == 1
    assert call("sample", "mine", "--out", "b.png", table=_TABLE) == 0


def test_the_recipe_of_the_table_given_is_the_one_that_is_built() -> None:
    table = {"mine": Experiment(recipes.wgan, steps=2)}
    with pytest.raises(InputError, match="is not the configuration of a run"):
        gan_jax.load("mine", table=table)


def test_of_a_sweep_it_is_the_best_member() -> None:
    Path("sweep").mkdir()
    Path("sweep/sweep.json").write_text("{}")
    with pytest.raises(InputError, match="sweep has no best member yet"):
        gan_jax.load("sweep")
    shutil.copytree("ring", "sweep/best")
    assert_same(gan_jax.load("sweep").sample(4), gan_jax.load("ring").sample(4))


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    assert int(gan_jax.load("~/cgan").state.step) == 4
    with pytest.raises(InputError, match="there is no home directory for ~nobody-at-all/a"):
        gan_jax.load("~nobody-at-all/a")


@pytest.mark.parametrize(
    ("run", "options", "words"),
    [
        ("nowhere", {}, "nowhere is not a run"),
        ("cgan", {"step": 3}, "holds no checkpoint of step 3: choose one of 2, 4"),
        ("cgan", {"best": True}, "kept no best checkpoint"),
    ],
)
def test_what_can_not_be_loaded_is_an_input_error(run: str, options: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        gan_jax.load(run, **options)


def test_what_can_not_be_sampled_is_an_error() -> None:
    loaded = gan_jax.load("cgan")
    for label in (-1, 3):
        with pytest.raises(InputError, match=f"there is no class {label}: this data has 0 to 2"):
            loaded.sample(3, label=label)
    with pytest.raises(InputError, match="gan is not conditioned on labels"):
        gan_jax.load("ring").sample(3, label=0)
    with pytest.raises(InputError, match="gan is not conditioned: leave out y"):
        gan_jax.load("ring").sample(3, y=[0, 0, 0])
    for y in ([0, 1, 3], [0, -1, 0], [0.0, 1.0, 2.0], np.eye(3), [True, False, True], ["a", "b", "c"]):
        with pytest.raises(InputError, match="labels y as whole numbers from 0 to 2, positions in the run's classes"):
            loaded.sample(3, y=y)
    for y in ([0, 1], 1, [[0, 1, 2]]):
        with pytest.raises(InputError, match="expected 3 conditions, one per sample"):
            loaded.sample(3, y=y)
    with pytest.raises(ValueError, match="label and y exclude each other"):
        loaded.sample(3, label=1, y=[1, 1, 1])
    with pytest.raises(ValueError, match="step and best exclude each other"):
        gan_jax.load("cgan", step=2, best=True)


def test_there_is_one_load() -> None:
    assert gan_jax.load is gan_jax.lab.load


def test_samples_of_the_same_number_are_compiled_once() -> None:
    trained = gan_jax.load("cgan")
    first, generate = trained.sample(5, label=1, seed=0), trained._generate
    assert trained._generate is generate
    np.testing.assert_array_equal(trained.sample(5, label=1, seed=0), first)
    assert differ(trained.sample(5, label=1, seed=1), first)
