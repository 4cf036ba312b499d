import inspect
from typing import Any

import jax.numpy as jnp
import pytest

from gan_jax import recipes
from gan_jax.lab import EXPERIMENTS
from gan_jax.lab.experiment import config
from gan_jax.lab.options import OBJECTIVE_OPTIONS, RUN_OPTIONS, WARMUP_OPTIONS, spelled
from gan_jax.lab.values import Scheduled

_EVERY_RUN_HAS = {"steps", "batch_size", "seed", "data", "log_every", "sample_every", "save_every"}
_EVERY_RUN_HAS |= {"loss", "penalty", "lazy", "augment", "accumulate", "track", "track_every", "stream", "invert"}

# What the authors anneal is a schedule in the preset, and in a signature a number.
_ANNEALED: dict[str, dict[str, Any]] = {
    "r3gan": {
        "lr": Scheduled("cosine", (2e-4, 5e-5), 0.78),
        "gamma": Scheduled("cosine", (1.0, 0.1), 0.78),
        "b2": Scheduled("cosine", (0.9, 0.99), 0.78),
    }
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_keyword_of_a_recipe_is_an_option_with_help_and_a_default(name: str) -> None:
    experiment = EXPERIMENTS[name]
    parameters = inspect.signature(experiment.recipe).parameters.values()
    keywords = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert set(experiment.recipe_options) == keywords - {"axis_name"}
    assert set(experiment.options) >= _EVERY_RUN_HAS
    others = set(experiment.options) - set(experiment.recipe_options)
    assert others == set(RUN_OPTIONS) | set(OBJECTIVE_OPTIONS) | (set(WARMUP_OPTIONS) & set(experiment.options))
    assert ("warmup_steps" in experiment.options) == ("n_critic" in keywords)
    assert set(experiment.defaults) == set(experiment.options)
    assert set(experiment.paper) <= set(experiment.options)
    assert all(option.help for option in experiment.options.values())
    assert experiment.summary
    assert experiment.citation


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_default_is_a_value_that_its_option_accepts(name: str) -> None:
    experiment = EXPERIMENTS[name]
    by_shape = (*experiment.defaults_at.values(), *experiment.paper_at.values())
    for values in (experiment.defaults, experiment.paper, *by_shape):
        for option, value in values.items():
            text = spelled(value, experiment.word(option))
            assert experiment.options[option].parse(text) == experiment.read(option, value) == value


@pytest.mark.parametrize("name", sorted(set(EXPERIMENTS) - {"wgan_4x512"}))
def test_the_paper_preset_is_the_recipe_as_published(name: str) -> None:
    experiment = EXPERIMENTS[name]
    parameters = inspect.signature(experiment.recipe).parameters
    values = experiment.defaults | experiment.paper
    published = {option: parameters[option].default for option in experiment.recipe_options}
    assert {option: values[option] for option in experiment.recipe_options} == published | _ANNEALED.get(name, {})


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_neither_the_defaults_nor_the_preset_change_a_recipes_objective(name: str) -> None:
    experiment = EXPERIMENTS[name]
    for changed in (experiment.paper, *experiment.paper_at.values(), *experiment.defaults_at.values()):
        values = experiment.defaults | changed
        assert {option: values[option] for option in OBJECTIVE_OPTIONS} == {
            "loss": None, "penalty": None, "lazy": 1, "augment": None, "accumulate": 1
        }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "shape", "g", "d"),
    [
        ("dcgan", (32, 32, 3), "cosine:0.0004:0.0", "none"),
        ("dcgan", (64, 64, 3), "cosine:0.0004:0.0", "cosine:0.0001:0.0"),
        ("sngan", (32, 32, 3), "cosine:0.0004:0.0", "cosine:0.0008:0.0"),
        # Not measured at these sizes: the defaults of digits.
        ("dcgan", (64, 48, 3), "0.0002", "none"),
        ("sngan", (64, 64, 3), "0.0002", "none"),
    ],
)
def test_colour_images_of_measured_sizes_have_defaults_of_their_own(
    name: str, shape: tuple[int, int, int], g: str, d: str
) -> None:
    found = config(EXPERIMENTS, name, {"data": "not looked at"}, shape=shape)
    assert (found.spelled("lr"), found.spelled("d_lr")) == (g, d)
    measured = g.startswith("cosine")
    assert found.options["steps"] == (5000 if measured else 3000)
    assert found.options["ema"] == (0.999 if measured else 0.99)
    assert found.options["width"] == 32


@pytest.mark.parametrize("name", ["wgan_gp", "sngan"])
def test_the_preset_on_cifar_10_is_the_papers_own(name: str) -> None:
    """Residual networks, Adam(2e-4, 0, .9) falling linearly to 0, five critic updates of 64 images."""
    experiment = EXPERIMENTS[name]
    values = experiment.defaults | experiment.paper | experiment.paper_at[32, 32, 3]
    assert {option: values[option] for option in ("net", "lr", "b1", "b2", "n_critic", "batch_size", "latent")} == {
        "net": "resnet", "lr": Scheduled("linear", (2e-4, 0.0)), "b1": 0.0, "b2": 0.9, "n_critic": 5, "batch_size": 64,
        "latent": 128,
    }  # fmt: skip
    assert values["width"] == {"wgan_gp": 128, "sngan": 256}[name]
    assert values["steps"] == {"wgan_gp": 100_000, "sngan": 50_000}[name]


def test_the_preset_of_r3gan_anneals_over_20_million_images() -> None:
    paper = EXPERIMENTS["r3gan"].paper
    rate = paper["lr"].over(paper["steps"])
    end = round(20_000_000 / paper["batch_size"])
    assert end == pytest.approx(0.78 * paper["steps"], rel=0.002)
    found = [float(rate(jnp.int32(step))) for step in (0, 78_000 // 2, 78_000, 90_000)]
    assert found == pytest.approx([2e-4, 1.25e-4, 5e-5, 5e-5])


def test_every_public_recipe_can_be_run() -> None:
    assert set(recipes.__all__) == {experiment.recipe.__name__ for experiment in EXPERIMENTS.values()}
