"""Run directories: config.json, metrics.jsonl, checkpoints/, samples/, TensorBoard events; and a run back from disk."""

import contextlib
import dataclasses
import fcntl
import importlib.metadata
import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.configs import EXPERIMENTS, RECIPE_OPTIONS, RUN_OPTIONS, Config, whole
from gan_jax import checkpoint, recipes
from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState
from gan_jax.training import Examples, initial_state

_PACKAGES = ("gan-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run directory's config.json says.

    Attributes:
      path: the directory.
      config: the options it was started with.
      shape: shape of one example.
      num_classes: classes of the data, 0 when unlabelled.
    """

    path: Path
    config: Config
    shape: tuple[int, ...]
    num_classes: int

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best_checkpoints(self) -> Path:
        return self.path / "checkpoints-best"

    def gan(self) -> GAN:
        """The run's GAN, built by its recipe."""
        recipe = getattr(recipes, EXPERIMENTS[self.config.experiment].recipe)
        return recipe(self.shape, self.num_classes, **self.config.recipe)

    def fresh_state(self, gan: GAN) -> GANState:
        """The state before the first step."""
        one = example(self.shape, self.num_classes)
        # One program: op by op, initialisation alone would compile a hundred small ones.
        return jax.jit(lambda rng: initial_state(gan, rng, one))(run_keys(self.config)[0])

    def like(self, gan: GAN) -> GANState:
        """The shapes and dtypes of the run's state.

        Raises:
          InputError: such a state would not fit the memory.
        """
        like = jax.eval_shape(lambda: self.fresh_state(gan))
        needed, memory = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(like)), _memory()
        if needed > memory:
            raise InputError(
                f"parameters and optimizers of these networks take {needed / 1e9:.0f} GB and the device has "
                f"{memory / 1e9:.0f} GB: choose a smaller width, depth or latent"
            )
        return like

    def restore(self, gan: GAN, *, quarantine: bool = False) -> GANState:
        """The state of the newest whole checkpoint. Raises InputError if there is none."""
        return checkpoint.restore(self.checkpoints, self.like(gan), quarantine=quarantine)[1]

    def restore_best(self, gan: GAN) -> GANState:
        """The state of the best checkpoint that --track kept. Raises InputError if there is none."""
        if not self.best_checkpoints.is_dir():
            raise InputError(f"{self.path} kept no best checkpoint: train it with --track frechet, or leave out --best")
        return checkpoint.restore(self.best_checkpoints, jax.eval_shape(lambda: self.fresh_state(gan)))[1]

    def fixed_keys(self) -> tuple[jax.Array, jax.Array]:
        """The keys of the latents and of the conditions in this run's sample grids, the same at every step."""
        z_rng, y_rng = jax.random.split(run_keys(self.config)[2])
        return z_rng, y_rng


def run_keys(config: Config) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The keys of initialisation, training and sample grids."""
    init_rng, train_rng, sample_rng = jax.random.split(jax.random.key(config.run["seed"]), 3)
    return init_rng, train_rng, sample_rng


def example(shape: tuple[int, ...], num_classes: int) -> Examples:
    """One example of such data, all zeros: for shapes."""
    x = np.zeros((1, *shape), np.uint8 if len(shape) == 3 else np.float32)
    return Examples(x, np.zeros((1,), np.int32) if num_classes else None)


def create(config: Config, dataset: Dataset, out: Path | None, *, overwrite: bool) -> Run:
    """Makes the directory of a new run, `out` or the next free runs/NAME/NNN, and writes its config.json.

    Raises:
      InputError: the directory holds something already and `overwrite` was not asked for, or can't be written.
    """
    with writing(out or Path("runs")):
        path = next_free(Path("runs") / config.experiment) if out is None else out
        if not vacant(path):
            if not overwrite:
                raise InputError(f"{path} exists already: name another --out, or say --overwrite to replace that run")
            if not (path / "config.json").is_file():
                raise InputError(f"{path} is not a run, and --overwrite only replaces runs: name another --out")
            with alone(path / "config.json"):
                # Under another name first: a kill in the middle must not leave half a run under its own.
                doomed = path.with_name(f".{path.name}.replaced")
                shutil.rmtree(doomed, ignore_errors=True)
                path.rename(doomed)
                shutil.rmtree(doomed)
        # Of two starts at once only one gets the next free number.
        path.mkdir(parents=True, exist_ok=out is not None)
        record = {
            "experiment": config.experiment,
            "run": dict(config.run),
            "recipe": dict(config.recipe),
            "shape": list(dataset.shape),
            "num_classes": dataset.num_classes,
            "versions": {name: importlib.metadata.version(name) for name in _PACKAGES if _installed(name)},
            "commit": _commit(),
            "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        }
        write_whole(path / "config.json", json.dumps(record, indent=2) + "\n")
    return Run(path, config, dataset.shape, dataset.num_classes)


def load(path: Path) -> Run:
    """The run in a directory.

    Raises:
      InputError: there is no run, or its config.json is not one that `create` writes.
    """
    file = path / "config.json"
    try:
        record = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise InputError(f"{path} is not a run: it has no config.json; name a directory like runs/wgan/001") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} can't be read ({error}): name another run") from error
    try:
        name = record["experiment"]
        experiment = EXPERIMENTS[name]
        run = checked(record["run"], RUN_OPTIONS, experiment.run_options)
        recipe = checked(record["recipe"], RECIPE_OPTIONS, experiment.recipe_options)
        return Run(path, Config(name, run, recipe), _shape(record["shape"]), _count(record["num_classes"], 0))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file} is not the configuration of a run ({error!r}): name another run") from error


def vacant(path: Path) -> bool:
    """Whether a run or a sweep can be made here: there is nothing, or only what a killed start left."""
    with writing(path):
        if not path.exists():
            return True
        return path.is_dir() and all(entry.name.endswith(".json.partial") for entry in path.iterdir())


@contextlib.contextmanager
def alone(record: Path) -> Iterator[None]:
    """Holds the run or sweep with this record for this process; the lock goes when the process does, however it ends.

    Raises:
      InputError: another process holds it, or the directory can't be written.
    """
    path = record.parent
    with writing(path):
        file = open(record, "r+")  # noqa: SIM115
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"another process is at work on {path}: wait for it, or name another --out") from error
        except OSError:  # A file system without locks.
            pass
        yield


def write_whole(path: Path, text: str) -> None:
    """Writes a text file that appears whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    os.replace(partial, path)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} can't be written ({error.strerror}): name a directory of yours with --out") from error


def numbered(parent: Path) -> list[Path]:
    """The directories of a parent whose names are numbers, the least first."""
    return sorted((path for path in parent.glob("*") if path.name.isdecimal()), key=lambda path: int(path.name))


def next_free(parent: Path) -> Path:
    return parent / f"{max((int(path.name) for path in numbered(parent)), default=0) + 1:03d}"


def checked(values: Any, options: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """The values, each read again by its option, so that a config edited by hand is held to the same rules."""
    if values.keys() != expected.keys():
        raise ValueError(f"options {sorted(values.keys() ^ expected.keys())} missing or unknown")
    spelled = {True: "yes", False: "no", None: "none"}
    return {
        name: options[name].parse(spelled[value] if isinstance(value, bool | None) else str(value))
        for name, value in values.items()
    }


def _shape(record: Any) -> tuple[int, ...]:
    if not isinstance(record, list) or len(record) not in (1, 3):
        raise ValueError(f"expected the shape of one example, [H, W, C] or [D], got {record!r}")
    shape = tuple(_count(n, 1) for n in record)
    if math.prod(shape) > 2**31 - 1:
        raise ValueError(f"expected examples of fewer than 2^31 numbers, got {list(shape)}")
    return shape


def _count(record: Any, low: int) -> int:
    if type(record) is not int:
        raise ValueError(f"expected a whole number, got {record!r}")
    return whole(low)(str(record))


def _memory() -> int:
    """Bytes that the device has: its own, or those of the machine."""
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    return limit or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _commit() -> str | None:
    """The git commit of the code that runs, with a + if it was changed; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        changes = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return head.stdout.strip() + ("+" if changes.stdout else "") if head.returncode == 0 else None
