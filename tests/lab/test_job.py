import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from gan_jax import GAN, load, recipes
from gan_jax.data import Dataset
from gan_jax.lab import EXPERIMENTS, Experiment, Job, data_record, experiment
from gan_jax.typing import Rate, Shape
from tests.helpers import differ
from tests.lab.helpers import call


def _job(typed: dict[str, str], name: str = "wgan", shape: Shape = (2,)) -> Job:
    read = {option: EXPERIMENTS[name].read(option, text) for option, text in typed.items()}
    return Job(experiment.config(EXPERIMENTS, name, read), shape, 0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"lr": "1e-3", "seed": "1"}, {"lr": "1e-4", "clip": "1"}, True),
        (
            {"lr": "1e-3", "steps": "5"},
            {"lr": "1e-3", "steps": "7", "save_every": "3", "data": "grid", "track": "sliced"},
            True,
        ),
        ({"lr": "cosine:1:0"}, {"lr": "cosine:2:1"}, True),
        ({"lr": "cosine:1:0"}, {"lr": "1"}, False),
        ({"lr": "cosine:1:0"}, {"lr": "cosine:1:0:0.5"}, False),
        ({"lr": "cosine:1:0", "steps": "5"}, {"lr": "cosine:1:0", "steps": "7"}, False),
        ({"penalty": "r1:1"}, {"penalty": "r1:2"}, True),
        ({"penalty": "r1:1"}, {"penalty": "r2:1"}, False),
        ({"ema": "0.9"}, {"ema": "0.5"}, True),
        ({"ema": "0.9"}, {"ema": "none"}, False),
        ({"width": "8"}, {"width": "9"}, False),
        ({"loss": "hinge"}, {}, False),
        ({"warmup_steps": "3"}, {}, False),
    ],
)
def test_what_makes_a_gan_is_the_same_where_numbers_alone_differ(
    one: dict[str, str], other: dict[str, str], same: bool
) -> None:
    a, b = _job(one).maker(), _job(other).maker()
    assert (a == b) == same
    assert not same or hash(a) == hash(b)
    assert a != _job(one).maker(1) and a != _job(one, shape=(3,)).maker() and a != _job({}, "gan").maker()


def test_what_d_sees_as_it_is_are_images_without_augmentation() -> None:
    arrays = {"images": np.zeros((3, 8, 8, 1), np.uint8), "points": np.zeros((3, 2), np.float32)}
    of = {name: Dataset(name, x) for name, x in arrays.items()}
    found = {}
    for name, dataset in of.items():
        for augment in ("none", "color"):
            job = _job({"augment": augment}, shape=dataset.shape)
            job = dataclasses.replace(job, data=data_record.of(dataset, "mnist"))
            found[name, augment] = job.unaugmented
    assert found == {("images", "none"): 3, ("images", "color"): 0, ("points", "none"): 0, ("points", "color"): 0}
    assert _job({}, shape=(8, 8, 1)).unaugmented == 0


def test_a_program_is_traced_once_for_all_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    traced = []

    def counting(shape: Shape, num_classes: int = 0, *, lr: Rate = 1e-3) -> GAN:
        traced.append(isinstance(lr, jax.core.Tracer))
        return recipes.gan(shape, num_classes, lr=lr, width=4, latent=2)

    table, counts = {"counting": Experiment(counting, steps=2, batch_size=4, data="ring")}, []
    for lr in ("0.1", "0.01"):
        assert call("run", "counting", "--lr", lr, "--out", lr, table=table) == 0
        counts.append(sum(traced))
    assert 0 < counts[0] == counts[1]
    assert differ(*(load(lr, table=table).state.generator.params for lr in ("0.1", "0.01")))
