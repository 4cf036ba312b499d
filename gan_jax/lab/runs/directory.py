"""Run directories: config.json, run's metrics, checkpoints, sample grids, TensorBoard events; and a run back from disk."""

import dataclasses
import importlib.metadata
import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

from gan_jax import checkpoint
from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState
from gan_jax.lab import data_record, files
from gan_jax.lab.experiment import Config, Table, recorded
from gan_jax.lab.job import Job
from gan_jax.lab.options import integer
from gan_jax.typing import Shape

_PACKAGES = ("gan-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


@dataclasses.dataclass(frozen=True)
class RunDir:
    """Where a run lies, and how far it is to go.

    Attributes:
      path: the directory.
      job: what the run is.
      until: the step to train to: the job's steps, or those typed with --resume.
    """

    path: Path
    job: Job
    until: int

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best_checkpoints(self) -> Path:
        return self.path / "checkpoints-best"

    def restore(self, gan: GAN, step: int | None = None, *, quarantine: bool = False) -> GANState:
        """The state of a step, by default of the newest intact checkpoint. Raises InputError if there is none."""
        abstract = self.job.abstract_state(gan)
        return checkpoint.restore(self.checkpoints, abstract, step=step, quarantine=quarantine)[1]

    def restore_best(self, gan: GAN) -> GANState:
        """The state of the best checkpoint that --track kept. Raises InputError if there is none."""
        if not self.best_checkpoints.is_dir():
            raise InputError(f"{self.path} kept no best checkpoint: train it with --track frechet, or leave out --best")
        return checkpoint.restore(self.best_checkpoints, self.job.abstract_state(gan))[1]

    @property
    def finished(self) -> bool:
        """Whether the last step is saved."""
        return max(checkpoint.steps(self.checkpoints), default=-1) >= self.until


def create(config: Config, dataset: Dataset, out: Path | None, *, overwrite: bool) -> RunDir:
    """Makes the directory of a new run, `out` or the next free runs/NAME/NNN, and writes its config.json.

    Raises:
      InputError: the directory holds something already and `overwrite` was not asked for, or can't be written.
    """
    data = data_record.of(dataset, config.options["data"])
    with files.write_errors(out or Path("runs")):
        path = files.next_free(Path("runs") / config.name) if out is None else out
        if not files.is_free(path):
            if not overwrite:
                raise InputError(f"{path} exists already: choose a different --out, or --overwrite to replace that run")
            _remove(path)
        # Of two starts at the same time only one gets the next free number.
        path.mkdir(parents=True, exist_ok=out is not None)
        record = {
            "experiment": config.name,
            "options": config.record,
            "shape": list(dataset.shape),
            "num_classes": dataset.num_classes,
            "data": dataclasses.asdict(data),
            "versions": {name: importlib.metadata.version(name) for name in _PACKAGES if _installed(name)},
            "commit": commit(),
        }
        files.write_text(path / "config.json", json.dumps(record, indent=2) + "\n")
    return RunDir(path, Job(config, dataset.shape, dataset.num_classes, data), config.options["steps"])


def load(path: Path, table: Table) -> RunDir:
    """The run in a directory, its experiment looked up in the table.

    Raises:
      InputError: there is no run, its experiment is not in the table, or its config.json is none that `create` writes.
    """
    file = path / "config.json"
    try:
        record = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise InputError(
            f"{path} is not a run, it has no config.json: choose a directory such as runs/wgan/001"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} can't be read ({error}): choose a different run") from error
    try:
        config = recorded(table, record["experiment"], record["options"])
        num_classes = _count(record["num_classes"], 0)
        job = Job(config, _shape(record["shape"]), num_classes, data_record.read(record["data"], num_classes))
        return RunDir(path, job, config.options["steps"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file} is not the configuration of a run ({error!r}): choose a different run") from error


def _remove(path: Path) -> None:
    """Removes a run that is to be replaced."""
    if not (path / "config.json").is_file():
        raise InputError(f"{path} is not a run, and --overwrite only replaces runs: choose a different --out")
    with files.lock(path):
        # Under another name first: a kill in the middle must not leave half a run under its own.
        doomed = path.with_name(f".{path.name}.replaced")
        shutil.rmtree(doomed, ignore_errors=True)
        path.rename(doomed)
        shutil.rmtree(doomed)


def _shape(record: Any) -> Shape:
    if not isinstance(record, list) or len(record) not in (1, 3):
        raise ValueError(f"expected the shape of one example, [H, W, C] or [D], got {record!r}")
    shape = tuple(_count(n, 1) for n in record)
    if math.prod(shape) > 2**31 - 1:
        raise ValueError(f"expected examples of fewer than 2^31 numbers, got {list(shape)}")
    return shape


def _count(record: Any, low: int) -> int:
    if type(record) is not int:
        raise ValueError(f"expected a whole number, got {record!r}")
    return integer(low)(str(record))


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def commit() -> str | None:
    """The git commit of the code that runs, with a + if it was changed; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        # In a repository of somebody else's, an installed package is a file that git does not know.
        known = subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True)
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        changes = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    if known.returncode or head.returncode:
        return None
    return head.stdout.strip() + ("+" if changes.stdout else "")
