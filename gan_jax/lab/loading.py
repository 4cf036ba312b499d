"""A trained GAN back from disk, for scripts."""

import dataclasses
import functools
import operator
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState
from gan_jax.lab import sampling
from gan_jax.lab.experiment import Experiment
from gan_jax.lab.exports import directory as exports
from gan_jax.lab.exports import shipped
from gan_jax.lab.job import Job
from gan_jax.lab.runs import directory, journal, starting
from gan_jax.lab.table import EXPERIMENTS


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A trained GAN.

    Attributes:
      gan: what it is.
      state: what it has learned.
      job: its options and the shape of its data.
      path: the directory of the run, or of the export.
      record: how it was made, as export.json holds it, where it was read from an export; else None.
    """

    gan: GAN
    state: GANState
    job: Job
    path: Path
    record: Mapping[str, Any] | None = None

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

    @functools.cached_property
    def _draw(self) -> sampling.Draw:
        return sampling.drawer_of(self.gan)

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
        if label is not None:
            y = np.full((n,), sampling.label_of(self.job, self.gan, label), np.int32)
        elif y is not None:
            y = sampling.checked(self.job, self.gan, y, n)
        z, drawn = self._draw(np.int64(operator.index(seed)), n, y is None)
        return self._generate(self.state, z, drawn if y is None else y)


def load(
    run: str | Path, *, step: int | None = None, best: bool = False, table: Mapping[str, Experiment] = EXPERIMENTS
) -> Trained:
    """The trained GAN of a run, of an export, or one that comes with the package.

        images = gan_jax.load("mnist-cdcgan").sample(64, label=7)   # uint8 [64, 28, 28, 1]
        images = gan_jax.load("runs/cdcgan/001").sample(64, label=7)

    That of an export or of the package has no optimizers, so it can't be trained on: `run --from` starts from it.

    Args:
      run: the directory of a run; of a sweep, for its best member; of an export; or a name: mnist-cdcgan, mnist-wgan.
      step: which of the checkpoints that are kept; None for the newest.
      best: whether to take the best checkpoint, which `run --track` keeps.
      table: where the run's experiment is looked up; needed for one of your own.

    Raises:
      InputError: there is no such run, experiment or checkpoint, or the export is not whole or of another version.
      ValueError: both `step` and `best` are given.
    """
    if best and step is not None:
        raise ValueError("step and best exclude each other: give one of them")
    path = resolved(run)
    if exports.is_export(path):
        if best or step is not None:
            raise InputError(f"{run} is an export and has one state: leave out step and best")
        job, gan, state, record = exports.read(path, table)
        return Trained(gan, state, job, path, record)
    found = directory.load(path, table)
    gan = found.job.gan()
    state = found.restore_best() if best else found.restore(step)
    return Trained(gan, state, found.job, path)


def weights(run: str | Path, step: int | None, table: Mapping[str, Experiment]) -> dict[str, np.ndarray]:
    """The arrays of both players by name, on the host, of what `load` loads; of an export its only step.

    Raises:
      InputError: as `load`.
    """
    found = load(run, step=None if exports.is_export(resolved(run)) else step, table=table)
    return {name: np.asarray(leaf) for name, leaf in starting.weights_of(found.state).items()}


def resolved(run: str | Path) -> Path:
    """The directory of a run, of the best member of a sweep, of an export, or of a model of the package by its name.

    Raises:
      InputError: there is no home directory, a sweep has no best member yet, or there is no directory and no model.
    """
    try:
        path = Path(run).expanduser()
    except RuntimeError as error:
        raise InputError(f"there is no home directory for {run}: give the path without ~") from error
    if not os.path.exists(path) and len(path.parts) == 1:
        if path.name in shipped.names():
            return shipped.models() / path.name
        raise InputError(
            f"{path} is not a run, there is no such directory, nor one of the models of the package, which has "
            f"{', '.join(shipped.names())}: choose one of these, or a directory such as runs/wgan/001"
        )
    if (path / "sweep.json").exists():
        path /= "best"
        if not path.exists():
            raise InputError(f"{path.parent} has no best member yet: let the sweep finish")
    return path
