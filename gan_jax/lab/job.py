"""What a run is: a configuration and the shape of the data. A directory is only where it lies."""

import dataclasses
import functools
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState
from gan_jax.lab import devices, objectives, values
from gan_jax.lab.data_record import DataRecord
from gan_jax.lab.experiment import Config
from gan_jax.lab.options import OBJECTIVE_OPTIONS, WARMUP_OPTIONS
from gan_jax.population import Hyperparams
from gan_jax.training import Examples, initial_state, train
from gan_jax.typing import Shape


class Keys(NamedTuple):
    """The keys of a run: of initialisation, of training, of the latents and of the conditions in sample grids."""

    init: Array
    train: Array
    z: Array
    y: Array


@dataclasses.dataclass(frozen=True)
class Maker:
    """What makes the GAN that trains from a step on, of a job's numbers.

    Those of jobs that differ in numbers alone are equal: for them a process traces and compiles a program once.

    Attributes:
      code: what of the job decides its programs.
      step: the step. While a warm-up lasts, the GAN has its number of critic updates.
      job: the job, or one that differs in numbers alone.
    """

    code: Hashable
    step: int
    job: "Job" = dataclasses.field(compare=False, repr=False)

    def __call__(self, numbers: Hyperparams) -> GAN:
        gan, options = self.job.gan(numbers), self.job.options
        if self.step >= options.get("warmup_steps", 0):
            return gan
        return gan.replace(n_critic=options["warmup_critic"])


@dataclasses.dataclass(frozen=True)
class Job:
    """A GAN to be trained, as a value: its options and the shape of its data.

    Attributes:
      config: the experiment and its options. Schedules span `config.options["steps"]`.
      shape: shape of one example.
      num_classes: classes of the data, 0 when unlabelled.
      data: which data exactly; None where only its form matters.
      beside: shape of the picture that comes with each example; None where none does.
      tags: the names of the tags, where examples are tags of these pictures.
    """

    config: Config
    shape: Shape
    num_classes: int
    data: DataRecord | None = None
    beside: Shape | None = None
    tags: tuple[str, ...] = ()

    @classmethod
    def on(cls, config: Config, dataset: Dataset, data: DataRecord | None = None) -> "Job":
        """The job of a configuration on a training split."""
        return cls(config, dataset.shape, dataset.num_classes, data, dataset.beside, dataset.tags)

    @property
    def options(self) -> Mapping[str, Any]:
        return self.config.options

    @property
    def unaugmented(self) -> int:
        """Training images that D sees as they are; 0 of points, and where they are augmented."""
        return 0 if self.data is None or len(self.shape) == 1 or self.options["augment"] else self.data.count

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes by number, as the data calls them."""
        named = None if self.data is None else self.data.classes
        return tuple(map(str, range(self.num_classes))) if named is None else named

    @property
    def spec(self) -> str:
        """What `gan_jax.data.load` loads the data by, from any directory. Raises InputError where it is gone."""
        typed = self.options["data"]
        return typed if self.data is None else self.data.spec(typed)

    def check_data(self, train: Dataset) -> None:
        """Raises InputError unless this training split is that of the run."""
        typed = self.options["data"]
        if (train.shape, train.num_classes, train.tags) != (self.shape, self.num_classes, self.tags):
            difference: str | None = "its examples have another shape, or other classes or tags"
        else:
            difference = None if self.data is None else self.data.difference(train, typed)
        if difference is not None:
            raise InputError(
                f"{typed} has changed since this run was started, {difference}: put it back, or start a new run"
            )

    @property
    def keys(self) -> Keys:
        """The run's keys, functions of its seed alone."""
        init, train, samples = jax.random.split(jax.random.key(self.options["seed"]), 3)
        return Keys(init, train, *jax.random.split(samples))

    @property
    def example(self) -> Examples:
        """One example of such data, all zeros: for shapes."""
        x = np.zeros((1, *self.shape), np.uint8 if len(self.shape) == 3 else np.float32)
        view = self.gan().conditioning.view
        if view is not None and view.paired:
            # Of runs from before there were tags the pictures have the shape of the images.
            return Examples(x, np.zeros((1, *(self.beside or self.shape)), np.uint8))
        return Examples(x, np.zeros((1,), np.int32) if self.num_classes else None)

    @property
    def numbers(self) -> Hyperparams:
        """The numbers of the options that scale, float32: by option those of a schedule or of penalties, or the one.

        Training takes them as arguments of its compiled program. As constants XLA would fold them into others, and a
        run would differ from a population's member in the last bit.
        """
        return {
            name: tuple(np.float32(number) for number in values.numbers_of(self.options[name]))
            for name, option in self.config.experiment.options.items()
            if option.scales
        }

    def gan(self, numbers: Hyperparams | None = None) -> GAN:
        """The GAN.

        Args:
          numbers: what stands in place of `Job.numbers`, and may be traced.

        Raises:
          InputError: the options can't be combined, or don't fit the data.
        """
        changed = {name: values.with_numbers(self.options[name], of) for name, of in (numbers or {}).items()}
        options, steps = {**self.options, **changed}, self.options["steps"]
        experiment = self.config.experiment
        own = {
            name: values.over(options[name], steps) if experiment.options[name].scales else options[name]
            for name in experiment.recipe_options
        }
        gan = experiment.recipe(self.shape, self.num_classes, **own)
        if self.tags and (gan.conditioning.view is None or not gan.conditioning.view.tags):
            raise InputError(
                f"{self.config.name} does not draw tags of pictures, which {options['data']} is: choose tagger, or "
                "data without tags:"
            )
        named = {name: options[name] for name in (*OBJECTIVE_OPTIONS, "batch_size")}
        return objectives.applied(gan, named, steps, self.shape)

    def maker(self, step: int = 0) -> Maker:
        """What makes the GAN that trains from a step on."""
        options = self.config.experiment.options
        names = (*self.config.experiment.recipe_options, *OBJECTIVE_OPTIONS, *WARMUP_OPTIONS, "batch_size")
        own = {name: self.options[name] for name in names if name in options}
        code = tuple(values.code_of(value) if options[name].scales else value for name, value in own.items())
        # Schedules span the steps.
        steps = self.options["steps"] if any(isinstance(value, values.Compound) for value in own.values()) else None
        return Maker((self.config.experiment, self.shape, self.num_classes, code, steps), step, self)

    def fresh_state(self) -> GANState:
        """The state before the first step."""
        return _initial_state(self.maker(), self.numbers, self.keys.init, self.example)

    def check_batch(self, gan: GAN) -> None:
        """Raises InputError where the networks can't train on minibatches of one example."""
        options = self.options
        if options["batch_size"] > (options["accumulate"] or 1):
            return  # Without tracing a step, which takes a second.
        state, rng = self.abstract_state(), self.keys.train
        jax.eval_shape(
            lambda state: train(gan, state, self.example, rng, steps=1, batch_size=options["batch_size"]), state
        )

    def abstract_state(self) -> GANState:
        """The shapes and dtypes of the state.

        Raises:
          InputError: such a state would not fit the memory.
        """
        initial = functools.partial(_initial_state, self.maker())
        # Not a key of the run's, which would compile a program, a third of a second for who loads a GAN.
        rng = jax.eval_shape(lambda: jax.random.key(0))
        abstract = jax.eval_shape(initial, self.numbers, rng, self.example)
        needed = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(abstract))
        if needed > (memory := devices.total_memory()):
            raise InputError(
                f"parameters and optimizers of these networks take {needed / 1e9:.0f} GB and the device has "
                f"{memory / 1e9:.0f} GB: choose a smaller width, depth or latent"
            )
        return abstract


# One program: op by op, initialisation alone would compile a hundred small ones.
@functools.partial(jax.jit, static_argnums=0)
def _initial_state(make_gan: Maker, numbers: Hyperparams, rng: Array, example: Examples) -> GANState:
    return initial_state(make_gan(numbers), rng, example)
