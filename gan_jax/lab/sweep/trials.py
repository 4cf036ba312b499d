"""A study on disk: Optuna's journal of its trials, what it was started with, and a directory for every population.

What a study was started with stands in its attributes, so that scores of other data, options or metrics never become
trials of it. A population of trials is trained in a directory of its own, which the process that trains it has locked:
what one that was stopped has left there, the next to come continues.
"""

import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from gan_jax.errors import InputError
from gan_jax.lab import files, options, values
from gan_jax.lab.experiment import Config, without_added
from gan_jax.lab.runs import logs
from gan_jax.lab.sweep.axes import LEFT_OUT
from gan_jax.lab.sweep.plan import Axis, Span

# What changes no score may change between one start and the next.
_FREE = {*LEFT_OUT, "log_every", "save_every", "invert"} - {"seed"}
_STARTED = "started with "
_CREATE_STUDY = 0


class Population(NamedTuple):
    """Trials that are trained together.

    Attributes:
      numbers: the trials' numbers.
      values: of each the searched options' values.
      directory: where they are trained.
      memory: bytes that a device might use when they were begun.
    """

    numbers: Sequence[int]
    values: Sequence[Mapping[str, Any]]
    directory: Path
    memory: float


def described(
    base: Config, axes: Mapping[str, Axis], metric: str, samples: int, features: str | None = None
) -> dict[str, str]:
    """What a study is of, as it is typed: the data, every option that is fixed or searched, the metric, its features.

    Of the features of a classifier nothing is said: the option --classifier is there already.
    """
    found = {name: base.spelled(name) for name in without_added(base.options) if name not in _FREE}
    for name, axis in axes.items():
        found[name] = ",".join(options.spelled(choice, base.experiment.word(name)) for choice in axis)
    found |= {"metric": metric, "score_samples": str(samples)}
    return found if features is None else found | {"features": features}


def check(path: Path) -> None:
    """Raises InputError unless there is no such file, or an empty one, or Optuna's journal, under a usable name."""
    files.check_name(path)
    try:
        with path.open("rb") as file:
            first = file.readline()
        if first and json.loads(first)["op_code"] != _CREATE_STUDY:
            raise ValueError("no study is made in its first line")
    except FileNotFoundError:
        return
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise _unusable(path, error) from error


def opened(
    path: Path,
    name: str,
    started: Mapping[str, str],
    fingerprints: Sequence[str],
    *,
    lower_is_better: bool,
    sampler: optuna.samplers.BaseSampler,
) -> optuna.Study:
    """The study of this name in a journal, made where there is none.

    Args:
      path: the journal; other studies may be in it.
      name: of the study.
      started: what it must have been started with, see `described`.
      fingerprints: of the data.
      lower_is_better: whether the best score is the lowest.
      sampler: what proposes trials.

    Raises:
      InputError: it was started with something else, or the file is none of Optuna's.
    """
    check(path)
    left = any(directory_of(path, name).glob("*"))  # First: a study that is there by then has said what it is of.
    try:
        with files.write_errors(path, "--storage"):
            path.parent.mkdir(parents=True, exist_ok=True)
            _trim(path)
            storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
            direction = StudyDirection.MINIMIZE if lower_is_better else StudyDirection.MAXIMIZE
            if name in optuna.get_all_study_names(storage):
                study = optuna.load_study(study_name=name, storage=storage, sampler=sampler)
            else:
                study = optuna.create_study(
                    storage=storage, study_name=name, direction=direction, load_if_exists=True, sampler=sampler
                )
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        raise _unusable(path, error) from error
    if not _records(study):
        if study.get_trials(deepcopy=False):
            raise InputError(
                f"{path} has a study of {name} that does not say what it was started with: choose a different --storage"
            )
        if left:
            raise InputError(
                f"{directory_of(path, name)} has the trials of another study: remove it, or choose a different "
                "--storage"
            )
        # A key of its own: of workers that start at once, the first in the journal has said what the study is of.
        study.set_user_attr(_STARTED + uuid.uuid4().hex, {**started, "fingerprints": list(fingerprints)})
    recorded = _records(study)[0]
    different = [
        key for key in {**recorded, **started} if key != "fingerprints" and recorded.get(key) != started.get(key)
    ]
    if different:
        others = " and another ".join(f"--{key.replace('_', '-')}, {recorded.get(key, 'none')}" for key in different)
        raise InputError(f"{path} was started with another {others}: type the same, or choose a different --storage")
    if recorded["fingerprints"] != list(fingerprints) or study.direction != direction:
        raise InputError(
            f"{started['data']} has changed since {path} was started: put it back, or choose a different --storage"
        )
    return study


def directory_of(path: Path, name: str) -> Path:
    """Where the trials of a study are trained."""
    return path.with_name(f"{path.stem}-trials") / name


def best_run(path: Path, study: optuna.Study) -> Path:
    """The run of the best trial."""
    return directory_of(path, study.study_name) / study.best_trial.user_attrs["directory"] / "best"


def finished(study: optuna.Study) -> int:
    """How many trials have come to their end, with a score or without a finite one."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL)))


def scored(study: optuna.Study) -> bool:
    """Whether any trial has a finite score."""
    return bool(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


@contextlib.contextmanager
def next_population(
    study: optuna.Study, path: Path, axes: Mapping[str, Axis], *, most: int, total: int, memory: float
) -> Iterator[Population | None]:
    """A population to train, its directory locked: one that was left unfinished, or new trials.

    Args:
      study: in the journal `path`.
      path: the journal.
      axes: what is searched.
      most: how many new trials may be trained together.
      total: how many trials the study is to have.
      memory: bytes that a device may use.

    Yields:
      None where all trials are finished or in the hands of others.
    """
    with contextlib.ExitStack() as stack:
        if (found := _abandoned(study, path, axes, stack)) is None:
            count = min(most, total - finished(study) - len(_running(study)))
            found = _proposed(study, path, axes, count, memory, stack) if count > 0 else None
        yield found


def _proposed(
    study: optuna.Study,
    path: Path,
    axes: Mapping[str, Axis],
    count: int,
    memory: float,
    stack: contextlib.ExitStack,
) -> Population:
    trials = [study.ask() for _ in range(count)]
    chosen = [suggest(trial, axes) for trial in trials]
    directory = directory_of(path, study.study_name) / f"{trials[0].number:05d}"
    directory.mkdir(parents=True)
    stack.enter_context(files.lock(directory))
    for trial in trials:
        trial.set_user_attr("memory", memory)
        trial.set_user_attr("directory", directory.name)
    return Population([trial.number for trial in trials], chosen, directory, memory)


def _abandoned(
    study: optuna.Study, path: Path, axes: Mapping[str, Axis], stack: contextlib.ExitStack
) -> Population | None:
    """A population whose process ended before its scores were known."""
    for name in sorted({trial.user_attrs["directory"] for trial in _running(study)}):
        directory = directory_of(path, study.study_name) / name
        with contextlib.suppress(InputError):  # Another process has it.
            if not stack.enter_context(files.lock(directory)):
                continue
            trials = [t for t in study.get_trials(deepcopy=False) if t.user_attrs.get("directory") == name]
            if any(trial.state == TrialState.RUNNING for trial in trials):
                chosen = [suggest(trial, axes) for trial in trials]
                return Population([t.number for t in trials], chosen, directory, trials[0].user_attrs["memory"])
    return None


def tell(study: optuna.Study, population: Population, scores: Sequence[float | None]) -> None:
    """Gives the study the scores of a population; of a trial without a finite one, that it failed."""
    known = study.get_trials(deepcopy=False)
    for number, score in zip(population.numbers, scores, strict=True):
        if known[number].state == TrialState.RUNNING:
            study.tell(number, score, state=TrialState.FAIL if score is None else TrialState.COMPLETE)


def is_best(study: optuna.Study, score: float) -> bool:
    """Whether a score is better than those that the study has, or the first."""
    sign = 1 if study.direction == StudyDirection.MINIMIZE else -1
    values = [t.value for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) if t.value is not None]
    return all(sign * score < sign * value for value in values)


def suggest(trial: Any, axes: Mapping[str, Axis]) -> dict[str, Any]:
    """What a trial chooses of every axis; of one that has chosen already, what it has chosen."""
    return {name: _suggest_one(trial, name, axis) for name, axis in axes.items()}


def _suggest_one(trial: Any, name: str, axis: Axis) -> Any:
    """A choice of the axis: the parameter NAME, where there are several; of a span also the numbers.

    Those are the parameters NAME or, of the Kth of several choices, NAME.K; the number at place I > 0 has .I behind it.
    """
    chosen = axis[0]
    if len(axis) > 1:
        # Numbers, names and None as they are, anything else as it is typed.
        words = [options.spelled(choice) if isinstance(choice, tuple) else choice for choice in axis]
        index = words.index(trial.suggest_categorical(name, words))
        name, chosen = f"{name}.{index}", axis[index]
    if not isinstance(chosen, Span):
        return chosen
    drawn = [
        low if low == high else trial.suggest_float(f"{name}.{k}" if k else name, low, high, log=log)
        for k, (low, high, log) in enumerate(chosen.ranges)
    ]
    return values.with_numbers(chosen.low, drawn)


def _records(study: optuna.Study) -> list[dict[str, Any]]:
    """What it was started with, the first in the journal first."""
    return [value for key, value in study.user_attrs.items() if key.startswith(_STARTED)]


def _running(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that a process trains, or trained when it was stopped."""
    found = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [trial for trial in found if "directory" in trial.user_attrs]


def _trim(path: Path) -> None:
    """Cuts off a last line that a killed process or a full disk left half written: what follows it would be lost."""
    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()
    try:
        with logs.appending(path):
            pass
    finally:
        lock.release()


def _unusable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} can't be used, it is not the journal of a study ({error}): choose a different --storage")
