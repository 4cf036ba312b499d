import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_jax import GAN, recipes
from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS, Experiment, experiment
from gan_jax.lab.values import Penalties, Scheduled
from gan_jax.typing import Rate, Shape


def _recipe(shape: Shape, num_classes: int = 0, *, lr: Rate = 1e-3, flip: bool = False) -> GAN:
    """My networks.

    Args:
      flip: the other way around.
    """
    return recipes.gan(shape, num_classes, lr=lr)


_TABLE: Mapping[str, Experiment] = {"mine": Experiment(_recipe, steps=3000)}


def test_an_experiment_is_a_recipe_with_options_and_defaults() -> None:
    mine = _TABLE["mine"]
    assert (mine.recipe, mine.recipe_options, mine.summary) == (_recipe, ("lr", "flip"), "My networks")
    assert (mine.citation, dict(mine.paper), mine.lacks) == ("", {}, "")
    assert dict(mine.defaults) == {
        "steps": 3000, "batch_size": 64, "seed": 0, "data": "mnist", "classifier": None, "track": None,
        "track_every": 500,
        "log_every": 30, "sample_every": 300, "save_every": 300, "stream": False, "invert": False,
        "lr": 1e-3, "flip": False, "loss": None, "penalty": None, "lazy": 1, "augment": None,
        "accumulate": 1,
    }  # fmt: skip
    assert set(mine.defaults) == set(mine.options)
    assert mine.options["flip"].help == "the other way around"


def test_defaults_are_those_given_and_may_be_text() -> None:
    mine = Experiment(
        _recipe,
        steps=5,
        lr="cosine:1e-3:0",
        flip="yes",
        penalty="r1:1",
        loss="hinge",
        save_every=2,
        track="modes,sliced",
        summary="Theirs",
        paper={"lr": Scheduled("steps", (1e-3, 1e-4)), "penalty": None},
    )
    assert mine.defaults["lr"] == Scheduled("cosine", (1e-3, 0.0))
    assert mine.defaults["penalty"] == Penalties((("r1", 1.0),))
    assert (mine.defaults["flip"], mine.defaults["loss"], mine.defaults["track"]) == (True, "hinge", "modes,sliced")
    assert [mine.defaults[f"{event}_every"] for event in ("log", "sample", "save")] == [1, 1, 2]
    assert dict(mine.paper) == {"lr": Scheduled("steps", (1e-3, 1e-4)), "penalty": None}
    assert mine.summary == "Theirs"


def test_the_warm_up_is_of_recipes_with_several_critic_updates() -> None:
    assert EXPERIMENTS["wgan"].defaults["warmup_critic"] == 100
    assert "warmup_steps" not in EXPERIMENTS["gan"].options


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lrr": 1}, "_recipe has no option lrr \\(did you mean lr\\?\\)"),
        ({"hook": 1}, "_recipe has no option hook"),
        ({"lr": 10}, "expected a number in \\(0, 10\\), got '10'"),
        ({"lr": None}, "expected a number"),
        ({"lr": "cosine:1"}, "expected cosine:START:END"),
        ({"flip": 1}, "expected yes or no"),
        ({"batch_size": 0}, "at least 1"),
        ({"batch_size": 6.0}, "expected a whole number"),
        ({"steps": 0}, "at least 1"),
        ({"paper": {"stepz": 1}}, "_recipe has no option stepz \\(did you mean steps\\?\\)"),
        ({"paper": {"lr": -1}}, "expected a number"),
        ({"warmup_steps": 1}, "_recipe has no option warmup_steps"),
    ],
)
def test_defaults_are_held_to_the_rules_of_what_is_typed(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Experiment(_recipe, **{"steps": 10, **settings})


def test_a_signatures_own_default_is_held_to_them_too() -> None:
    def recipe(shape: Shape, num_classes: int = 0, *, lr: Rate = 11.0) -> GAN:
        raise NotImplementedError

    with pytest.raises(ValueError, match="expected a number in \\(0, 10\\)"):
        Experiment(recipe, steps=10)


def test_typed_beats_the_preset_and_the_preset_the_defaults() -> None:
    r3gan = EXPERIMENTS["r3gan"]
    config = experiment.config(EXPERIMENTS, "r3gan", {"lr": 0.5, "seed": 3}, paper=True)
    assert (config.name, config.experiment) == ("r3gan", r3gan)
    assert list(config.options) == list(r3gan.options)
    assert (config.options["lr"], config.options["seed"]) == (0.5, 3)
    assert config.options["gamma"] == Scheduled("cosine", (1.0, 0.1), 0.78)
    assert config.options["log_every"] == r3gan.defaults["log_every"]
    assert experiment.config(EXPERIMENTS, "r3gan", {}).options == r3gan.defaults
    assert config.replace(seed=4).options == {**config.options, "seed": 4}


def test_the_preset_depends_on_the_shape_of_the_data(tmp_path: Path) -> None:
    def images(*shape: int) -> str:
        file = tmp_path / f"{'x'.join(map(str, shape))}.npz"
        np.savez(file, images=np.zeros((2, *shape), np.uint8))
        return f"npz:{file}"

    paper = {"lr": 1e-4, "flip": True}
    table = {"mine": Experiment(_recipe, steps=9, paper=paper, paper_at={(8, 4, 3): {"lr": 5e-4, "steps": 7}})}

    def found(data: str, **typed: Any) -> tuple[Any, ...]:
        options = experiment.config(table, "mine", {"data": data, **typed}, paper=True).options
        return options["lr"], options["flip"], options["steps"]

    assert found(images(4, 8, 3)) == (1e-4, True, 9)
    assert found(images(8, 4, 3)) == (5e-4, True, 7)
    assert found(images(8, 4, 3), lr=0.1) == (0.1, True, 7)
    assert experiment.config(table, "mine", {"data": "nowhere"}).options["steps"] == 9
    with pytest.raises(InputError, match="there is no dataset 'nowhere'"):
        found("nowhere")


def test_defaults_depend_on_the_shape_of_other_data_than_the_default(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 8, 4, 3), np.uint8))
    data = f"npz:{tmp_path / 'a.npz'}"
    at: Mapping[Shape, Mapping[str, Any]] = {(8, 4, 3): {"lr": "cosine:5e-4:0", "steps": 7}, (28, 28, 1): {"steps": 3}}
    table = {"mine": Experiment(_recipe, steps=9, lr=1e-4, defaults_at=at, paper={"flip": True})}

    def found(paper: bool = False, shape: Shape | None = None, **typed: Any) -> tuple[Any, ...]:
        options = experiment.config(table, "mine", typed, paper=paper, shape=shape).options
        return options["lr"], options["flip"], options["steps"]

    assert found(data=data) == (Scheduled("cosine", (5e-4, 0.0)), False, 7)
    assert found(data=data, lr=0.1) == (0.1, False, 7)
    assert found(data=data, paper=True) == (1e-4, True, 9)
    assert found() == found(data="mnist") == found(data="ring") == (1e-4, False, 9)
    assert found(data="not looked at", shape=(8, 4, 3)) == found(data=data)
    with pytest.raises(InputError, match="there is no dataset 'nowhere'"):
        found(data="nowhere")
    with pytest.raises(ValueError, match="_recipe has no option stepz"):
        Experiment(_recipe, steps=9, defaults_at={(8, 4, 3): {"stepz": 1}})


def test_what_would_change_nothing_is_refused_if_it_was_typed() -> None:
    assert experiment.config(EXPERIMENTS, "gan", {"data": "ring"}).options["depth"] == 3
    assert experiment.config(EXPERIMENTS, "gan", {"data": "ring"}, paper=True).options["depth"] == 1
    assert experiment.config(EXPERIMENTS, "gan", {"depth": 2}, shape=(8, 8, 1)).options["depth"] == 2
    with pytest.raises(InputError, match=r"^--depth would change nothing: ring is points"):
        experiment.config(EXPERIMENTS, "gan", {"data": "ring", "depth": 2})
    paper = experiment.config(EXPERIMENTS, "gan", {"data": "ring"}, paper=True)
    for own in (paper, experiment.config(EXPERIMENTS, "gan", {"data": "ring"})):  # As a printed command repeats them.
        assert experiment.config(EXPERIMENTS, "gan", own.options).options == own.options


def test_a_value_is_spelled_as_it_is_typed() -> None:
    config = experiment.config(EXPERIMENTS, "r3gan", {"stream": True}, paper=True)
    found = {name: config.spelled(name) for name in ("gamma", "stream", "d_lr", "penalty", "steps", "ema")}
    assert found == {
        "gamma": "cosine:1.0:0.1:0.78", "stream": "yes", "d_lr": "none", "penalty": "recipe", "steps": "100000",
        "ema": "0.999",
    }  # fmt: skip


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("paper", [False, True])
def test_a_configuration_comes_back_from_its_record(name: str, paper: bool) -> None:
    config = experiment.config(EXPERIMENTS, name, {"penalty": Penalties(()), "seed": 2**32 - 1}, paper=paper)
    record = json.loads(json.dumps(config.record))
    assert experiment.recorded(EXPERIMENTS, name, record) == config


def test_a_record_holds_numbers_flags_and_null_as_they_are_and_schedules_as_text() -> None:
    typed = {"lr": Scheduled("cosine", (5e-4, 0.0)), "penalty": Penalties((("r1", 1.0),)), "saturating": True}
    record = experiment.config(EXPERIMENTS, "gan", typed).record
    assert (record["lr"], record["penalty"], record["saturating"]) == ("cosine:0.0005:0.0", "r1:1.0", True)
    assert (record["d_lr"], record["steps"], record["b2"], record["data"]) == (None, 30_000, 0.999, "mnist")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lr": -1.0}, "expected a number"),
        ({"lr": "sine:1:2"}, "expected a number"),
        ({"lr": [1e-3]}, "expected a number"),
        ({"batch_size": 6.5}, "expected a whole number"),
        ({"batch_size": True}, "expected a whole number"),
        ({"flip": 1}, "expected yes or no"),
        ({"lr": None}, "expected a number"),
        ({"other": 1}, "options \\['other'\\] missing or unknown"),
    ],
)
def test_an_edited_record_is_held_to_the_rules(changes: dict[str, Any], words: str) -> None:
    record = experiment.config(_TABLE, "mine", {}).record
    with pytest.raises(ValueError, match=words):
        experiment.recorded(_TABLE, "mine", record | changes)
    del record["seed"]
    with pytest.raises(ValueError, match="options \\['seed'\\] missing or unknown"):
        experiment.recorded(_TABLE, "mine", record)


def test_an_experiment_that_is_not_in_the_table_is_an_input_error() -> None:
    with pytest.raises(InputError, match="there is no experiment 'mime' here \\(did you mean mine\\?\\): use the file"):
        experiment.recorded(_TABLE, "mime", {})
    with pytest.raises(InputError, match="there is no experiment 'gan' here"):
        experiment.known(_TABLE, "gan")


def test_the_nearest_name_is_the_one_most_like_the_word() -> None:
    assert experiment.nearest("--lr=1e-3", ["--seed", "--lr"]) == " (did you mean --lr?)"
    assert experiment.nearest("zzz", ["--seed", "--lr"]) == ""
