"""Run directories: config.json, metrics, checkpoints, sample grids, TensorBoard events; and a run back from disk."""

import dataclasses
import functools
import importlib.metadata
import json
import math
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from gan_jax import checkpoint
from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.gan import GANState
from gan_jax.lab import data_record, files, peers
from gan_jax.lab.experiment import ADDED, Config, Table, recorded, without_added
from gan_jax.lab.job import Job
from gan_jax.lab.options import integer
from gan_jax.lab.runs import starting
from gan_jax.lab.runs.starting import Start
from gan_jax.typing import Shape

_PACKAGES = ("gan-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")

# What the commands write into a run's directory beside its config.json; --overwrite leaves everything else there.
_WRITTEN = (
    "checkpoints", "checkpoints-best", "best.json", "metrics.jsonl", "samples", "tensorboard", "profile", "run.json",
    "evaluation.json", "report.html", "tracker.json", "wandb",
)  # fmt: skip

# Options that decide nothing of what is learned: where the data lies, and what is written and when.
_ASIDE = frozenset({
    "data", "track", "track_every", "classifier", "log_every", "sample_every", "save_every", "stream", "invert"
})  # fmt: skip


@dataclasses.dataclass(frozen=True)
class RunDir:
    """Where a run lies, and how far it is to go.

    Attributes:
      path: the directory.
      job: what the run is.
      until: the step to train to: the job's steps, or those typed with --resume.
      start: whose weights it starts from; None for weights drawn at random.
    """

    path: Path
    job: Job
    until: int
    start: Start | None = None

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best_checkpoints(self) -> Path:
        return self.path / "checkpoints-best"

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint of this run notes of it: what decides its state, as JSON holds it."""
        job = self.job
        record = without_added(job.config.record)
        options = {name: value for name, value in record.items() if name not in _ASIDE}
        started = {} if self.start is None else {"from": self.start.fingerprint}
        own = {"experiment": job.config.name, "shape": list(job.shape), "num_classes": job.num_classes}
        return {**own, **started, **options}

    def check_there(self) -> None:
        """Raises InputError where the directory was moved or deleted since it was loaded or made."""
        if not (self.path / "config.json").exists():
            raise InputError(f"{self.path} was moved or deleted while it trained: put it back, and continue it")

    def save(self, state: GANState, window: Mapping[str, Any]) -> None:
        """Saves the state as the checkpoint of its step, with what the next line of metrics sums up so far.

        Raises:
          InputError: the run's directory is gone; it is not made again without the rest.
          OSError: it can't be written.
        """
        if peers.is_first():
            self.check_there()
        notes = {"window": dict(window), "run": self.identity}
        checkpoint.save(self.checkpoints, int(state.step), state, notes=notes)

    def restore(self, step: int | None = None, *, quarantine: bool = False, sharding: Any = None) -> GANState:
        """The state of a step, by default of the newest intact checkpoint; laid out so, or on the default device.

        Raises:
          InputError: there is none, or it is of another run than config.json says.
        """
        return self._own(self.checkpoints, step, quarantine, sharding)

    def restore_best(self) -> GANState:
        """The state of the best checkpoint that --track kept. Raises InputError if there is none of this run."""
        if not self.best_checkpoints.is_dir():
            raise InputError(f"{self.path} kept no best checkpoint: train it with --track sliced, or leave out --best")
        return self._own(self.best_checkpoints, None, False)

    def _own(self, checkpoints: Path, step: int | None, quarantine: bool, sharding: Any = None) -> GANState:
        abstract = self.job.abstract_state()
        if sharding is not None:
            laid_out = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)  # noqa: E731
            abstract = jax.tree.map(laid_out, abstract)
        step, state = checkpoint.restore(checkpoints, abstract, step=step, quarantine=quarantine)
        if int(state.step) != step:
            raise InputError(f"{checkpoints / str(step)} holds step {int(state.step)}: give it its own name")
        added = {"from": None, **ADDED}
        notes, own = checkpoint.notes(checkpoints, step), {**added, **self.identity}
        noted = {**added, **notes["run"]} if "run" in notes else own
        for name in own:
            if noted.get(name, own[name]) != own[name]:
                raise InputError(
                    f"{checkpoints / str(step)} was trained with {name} {noted[name]} and {self.path / 'config.json'} "
                    f"says {own[name]}: put back the one that was changed, or start a new run"
                )
        return state

    @property
    def finished(self) -> bool:
        """Whether the last step is saved."""
        steps = checkpoint.steps(self.checkpoints)
        return any(step >= self.until and (self.checkpoints / str(step)).is_dir() for step in steps)


def create(config: Config, dataset: Dataset, out: Path | None, *, overwrite: bool, start: Start | None = None) -> Path:
    """Makes the directory of a new run, `out` or the next free runs/NAME/NNN, and writes its config.json.

    Returns:
      The directory: `of` is the run in it.

    Raises:
      InputError: the directory holds something already and `overwrite` was not asked for, or can't be written.
    """
    parent = Path("runs") / config.name
    with files.write_errors(out or Path("runs")):
        files.check_name(out or parent)
        if out is not None:
            _check_vacant(out, overwrite)
            out.mkdir(parents=True, exist_ok=True)
        path = out or files.make_next(parent)
        with files.lock(path):
            # Again: of two starts with one --out the other may have been quicker.
            _check_vacant(path, overwrite)
            _clear(path)
            record = record_of(of(path, config, dataset).job)
            record |= {} if start is None else {"from": start._asdict()}
            files.write_text(path / "config.json", json.dumps(record, indent=2) + "\n")
    return path


def planned(config: Config, out: Path | None, *, overwrite: bool) -> Path:
    """Where `create` would make a new run. Raises InputError where it would."""
    if out is None:
        return files.next_free(Path("runs") / config.name)
    files.check_name(out)
    _check_vacant(out, overwrite)
    return out


def of(path: Path, config: Config, dataset: Dataset, start: Start | None = None) -> RunDir:
    """The run that `create` has made there."""
    data = data_record.of(dataset, config.options["data"])
    return RunDir(path, Job.on(config, dataset, data), config.options["steps"], start)


def load(path: Path, table: Table) -> RunDir:
    """The run in a directory, its experiment looked up in the table.

    Raises:
      InputError: there is no run, its experiment is not in the table, or its config.json is none that `create` writes.
    """
    files.check_name(path)
    file = path / "config.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{path} is not a run, it has no config.json: choose a directory such as runs/wgan/001"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} can't be read ({error}): choose a different run") from error
    try:
        job = job_of(record, table)
        return RunDir(path, job, job.options["steps"], starting.read(record.get("from")))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file} is not the configuration of a run ({error!r}): choose a different run") from error


def record_of(job: Job) -> dict[str, Any]:
    """What a job is, as JSON holds it, and by what it is made now."""
    assert job.data is not None
    return {
        "experiment": job.config.name,
        "options": job.config.record,
        "shape": list(job.shape),
        "num_classes": job.num_classes,
        **({} if job.beside is None else {"beside": list(job.beside)}),
        **({"tags": list(job.tags)} if job.tags else {}),
        "data": dataclasses.asdict(job.data),
        "versions": versions(),
        "commit": commit(),
    }


def job_of(record: Mapping[str, Any], table: Table) -> Job:
    """The job of a record of `record_of`.

    Raises:
      InputError: the table has no such experiment.
      KeyError, TypeError, ValueError, AttributeError: the record is none.
    """
    config = recorded(table, record["experiment"], record["options"])
    num_classes = _count(record["num_classes"], 0)
    shape, data = _shape(record["shape"]), data_record.read(record["data"], num_classes)
    beside, tags = record.get("beside"), tuple(record.get("tags", ()))
    if not all(isinstance(name, str) for name in tags) or (tags and shape != (len(tags),)):
        raise ValueError(f"expected the names of {shape[0]} tags, got {tags!r}")
    return Job(config, shape, num_classes, data, None if beside is None else _shape(beside), tags)


def _check_vacant(path: Path, overwrite: bool) -> None:
    """Raises InputError unless a run can be made here: nothing is there, or a run that may be replaced."""
    if files.is_free(path):
        return
    if not overwrite:
        raise InputError(f"{path} exists already: choose a different --out, or --overwrite to replace that run")
    if not _is_run(path):
        raise InputError(f"{path} is not a run, and --overwrite only replaces runs: choose a different --out")


def _is_run(path: Path) -> bool:
    """Whether there is a config.json of a run, of any experiment; other programs write files of that name too."""
    try:
        record = json.loads((path / "config.json").read_text(encoding="utf-8"))
        return {"experiment", "options", "shape"} <= record.keys()
    except (OSError, ValueError, AttributeError):
        return False


def _clear(path: Path) -> None:
    """Removes what a run wrote, but for its config.json, which the next one replaces."""
    # Under another name first, the checkpoints before all: a kill in the middle must not leave what passes for a run.
    replaced = path / ".replaced.partial"
    shutil.rmtree(replaced, ignore_errors=True)
    for name in _WRITTEN:
        if (path / name).exists():
            replaced.mkdir(exist_ok=True)
            (path / name).rename(replaced / name)
    shutil.rmtree(replaced, ignore_errors=True)


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


def versions() -> dict[str, str]:
    """The installed versions of what decides the bits of a run."""
    return {name: version for name in _PACKAGES if (version := _version(name)) is not None}


@functools.cache
def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


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
