import inspect
import subprocess
import sys

import pytest

from experiments.configs import EXPERIMENTS, RECIPE_OPTIONS, RUN_OPTIONS
from gan_jax import recipes

_EVERY_RECIPE_HAS = {"steps", "batch_size", "seed", "data", "log_every", "sample_every", "save_every"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_keyword_of_a_recipe_is_an_option_with_a_default(name: str) -> None:
    experiment = EXPERIMENTS[name]
    parameters = inspect.signature(getattr(recipes, experiment.recipe)).parameters.values()
    keywords = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    # wgan_4x512 is wgan with a depth; the convolutional recipes have none.
    assert set(experiment.recipe_options) == keywords - {"axis_name"}
    assert set(experiment.run_options) >= _EVERY_RECIPE_HAS
    assert set(experiment.defaults) == set(experiment.recipe_options) | set(experiment.run_options)
    assert set(experiment.paper_settings) <= set(experiment.defaults)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_default_is_a_value_that_its_option_accepts(name: str) -> None:
    experiment = EXPERIMENTS[name]
    for option, value in (experiment.defaults | experiment.paper_settings).items():
        text = (
            {True: "yes", False: "no", None: "none"}.get(value, str(value))
            if not isinstance(value, int | float) or isinstance(value, bool)
            else str(value)
        )
        assert (RUN_OPTIONS | RECIPE_OPTIONS)[option].parse(text) == value


@pytest.mark.parametrize("name", sorted(set(EXPERIMENTS) - {"wgan_4x512"}))
def test_the_paper_preset_is_the_recipe_as_published(name: str) -> None:
    experiment = EXPERIMENTS[name]
    parameters = inspect.signature(getattr(recipes, experiment.recipe)).parameters
    values = experiment.defaults | experiment.paper_settings
    assert {option: values[option] for option in experiment.recipe_options} == {
        option: parameters[option].default for option in experiment.recipe_options
    }


def test_every_public_recipe_can_be_run() -> None:
    assert set(recipes.__all__) == {experiment.recipe for experiment in EXPERIMENTS.values()}


def test_help_starts_no_jax() -> None:
    code = "import sys; from experiments import run; run.main(['--help']); assert 'jax' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
