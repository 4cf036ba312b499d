"""A trained GAN back from disk, for scripts."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState
from gan_jax.lab import sampling
from gan_jax.lab.experiment import Experiment
from gan_jax.lab.job import Job
from gan_jax.lab.runs import directory, journal
from gan_jax.lab.table import EXPERIMENTS


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A trained GAN.

    Attributes:
      gan: what it is.
      state: what it has learned.
      job: its options and the shape of its data.
      path: the directory of the run.
    """

    gan: GAN
    state: GANState
    job: Job
    path: Path

    @property
    def journal(self) -> dict[str, Any]:
        """What happened to the run: status, sessions, seconds, images seen, metrics (`gan_jax.lab.runs.journal`).

        Raises:
          InputError: there is none.
        """
        return journal.read(self.path)

    @functools.cached_property
    def _generate(self) -> sampling.Generate:
        """Kept, because it keeps its compiled program."""
        return sampling.generator_of(self.gan, check=True)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, as the data calls them; empty when it is unlabelled."""
        return self.job.classes

    def sample(self, n: int, *, label: int | str | None = None, y: Any = None, seed: int = 0) -> np.ndarray:
        """n samples: uint8 images `[n, H, W, C]`, or float32 points `[n, D]`.

        Args:
          n: how many.
          label: the class to ask for, as the data calls it; None for labels drawn uniformly.
          y: conditions `[n, ...]`, for a GAN whose conditions are no labels; or labels `[n]`, positions in `classes`.
          seed: decides latents and conditions.

        Raises:
          InputError: there is no such class, the run is unconditional, conditions are needed and none are given, or
            samples are not finite.
          ValueError: both `label` and `y` are given.
        """
        if label is not None and y is not None:
            raise ValueError("label and y exclude each other: give one of them")
        z_rng, y_rng = jax.random.split(jax.random.key(seed))
        if label is not None:
            y = jnp.full((n,), sampling.label_of(self.job, self.gan, label), jnp.int32)
        elif y is None:
            y = self.gan.conditioning.draw(y_rng, n)
        else:
            y = sampling.checked(self.job, self.gan, y, n)
        return self._generate(self.state, self.gan.prior(z_rng, n), y)


def load(
    run: str | Path, *, step: int | None = None, best: bool = False, table: Mapping[str, Experiment] = EXPERIMENTS
) -> Trained:
    """The trained GAN of a run.

        images = gan_jax.load("runs/cdcgan/001").sample(64, label=7)   # uint8 [64, 28, 28, 1]

    Args:
      run: the directory of a run; of a sweep, for its best member.
      step: which of the checkpoints that are kept; None for the newest.
      best: whether to take the best checkpoint, which `run --track` keeps.
      table: where the run's experiment is looked up; needed for one of your own.

    Raises:
      InputError: there is no such run, experiment or checkpoint.
      ValueError: both `step` and `best` are given.
    """
    if best and step is not None:
        raise ValueError("step and best exclude each other: give one of them")
    try:
        path = Path(run).expanduser()
    except RuntimeError as error:
        raise InputError(f"there is no home directory for {run}: give the path without ~") from error
    if (path / "sweep.json").exists():
        path /= "best"
        if not path.exists():
            raise InputError(f"{path.parent} has no best member yet: let the sweep finish")
    found = directory.load(path, table)
    gan = found.job.gan()
    state = found.restore_best() if best else found.restore(step)
    return Trained(gan, state, found.job, path)
