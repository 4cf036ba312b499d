"""What --tracker names: where a run is logged besides its own directory, typed at each start.

    trackio, wandb, mlflow  with these packages, as their environment variables and logins say
    FILE.py:FUNCTION        a function of one's own, `(step, record) -> None`
    module:FUNCTION

A record holds numbers by name, or a picture (uint8 RGB [H, W, 3]) by name, see `logs.Log`. RUN/tracker.json keeps under
which id a run is tracked, so that a resumed run goes on there. It names no code: nothing is ever loaded from a record.
"""

import contextlib
import importlib
import json
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from gan_jax.errors import InputError
from gan_jax.lab import files, functions
from gan_jax.lab.runs.directory import RunDir
from gan_jax.lab.runs.logs import Log, Value

FILE = "tracker.json"

FORMS = "trackio, wandb, mlflow, FILE.py:FUNCTION or module:FUNCTION"

_PROJECT = "gan_jax"

Tracker = Callable[[RunDir], AbstractContextManager[Log]]
"""Starts to track a run, or goes on with it; the end of the block is the end of that."""


def form(text: str) -> str:
    """A parser of --tracker: the text itself, if it may name a tracker."""
    place, _, name = text.rpartition(":")
    if text not in _PACKAGES and not (place and name):
        raise ValueError(f"expected {FORMS}, got {text!r}")
    return text


def load(text: str) -> Tracker:
    """What the text names. What it raises later is printed, once, and the run goes on without it.

    Raises:
      InputError: there is no such function, or the package is not installed.
    """
    if text in _PACKAGES:
        try:
            module = importlib.import_module(text)
        except ImportError as error:
            raise InputError(
                f"--tracker {text} needs a package that can't be loaded ({error}): pip install 'gan-jax[{text}]'"
            ) from error
        start = _PACKAGES[text]
        return lambda run: _surviving(text, lambda stack: start(stack, module, run))
    function = functions.load(text, "--tracker", FORMS)
    return lambda run: _surviving(text, lambda stack: function)


@contextlib.contextmanager
def _surviving(text: str, start: Callable[[contextlib.ExitStack], Log]) -> Iterator[Log]:
    """The tracker, until something in it fails: from then on nothing is tracked, which is said once."""
    stack, failed = contextlib.ExitStack(), False

    def attempt(call: Callable[[], Any]) -> Any:
        nonlocal failed
        if failed:
            return None
        try:
            return call()
        except Exception as error:
            # Whatever it is: code of others, and servers that are gone, raise what nobody can list, and hours of
            # training are worth more than their log, which is in metrics.jsonl too.
            failed = True
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            print(
                f"run: --tracker {text} failed ({reason}); the run goes on without it, metrics.jsonl holds everything",
                file=sys.stderr,
            )
            return None

    log = attempt(lambda: start(stack))
    try:
        yield lambda step, record: attempt(lambda: log(step, dict(record)))
    finally:
        attempt(stack.close)


def _trackio(stack: contextlib.ExitStack, trackio: Any, run: RunDir) -> Log:
    known = _known(run.path, "trackio")
    name = known or f"{run.job.config.name}-{run.path.name}-{_fresh()}"
    tracked = trackio.init(
        project=_PROJECT,
        name=name,
        group=run.job.config.name,
        config=_settings(run),
        resume="allow",
        embed=False,
    )
    stack.callback(trackio.finish)
    _keep(run.path, "trackio", name)
    return lambda step, record: tracked.log(_shown(record, trackio.Image), step=step)


def _wandb(stack: contextlib.ExitStack, wandb: Any, run: RunDir) -> Log:
    name = _known(run.path, "wandb") or _fresh()
    tracked = wandb.init(
        project=_PROJECT,
        id=name,
        name=f"{run.job.config.name}-{run.path.name}",
        group=run.job.config.name,
        config=_settings(run),
        resume="allow",
        dir=str(run.path),
        # What is printed stays the command's own, and a server that is gone keeps it for a minute at most.
        settings=wandb.Settings(console="off", finish_timeout=60),
    )
    stack.callback(tracked.finish)
    _keep(run.path, "wandb", name)
    return lambda step, record: tracked.log(_shown(record, wandb.Image), step=step)


def _mlflow(stack: contextlib.ExitStack, mlflow: Any, run: RunDir) -> Log:
    known = _known(run.path, "mlflow")
    if known is None:
        mlflow.set_experiment(_PROJECT)
    # Where a run goes on, mlflow takes the experiment from it.
    tracked = mlflow.start_run(run_id=known, run_name=None if known else f"{run.job.config.name}-{run.path.name}")
    stack.callback(mlflow.end_run)
    _keep(run.path, "mlflow", tracked.info.run_id)
    if known is None:
        mlflow.log_params(_settings(run))

    def log(step: int, record: Mapping[str, Value]) -> None:
        for name, value in record.items():
            if isinstance(value, np.ndarray):
                mlflow.log_image(value, key=name, step=step)
            else:
                mlflow.log_metric(name, value, step=step)

    return log


_PACKAGES: Mapping[str, Callable[[contextlib.ExitStack, Any, RunDir], Log]] = {
    "trackio": _trackio,
    "wandb": _wandb,
    "mlflow": _mlflow,
}


def _settings(run: RunDir) -> dict[str, Any]:
    """What a tracker shows beside the curves: the options as config.json holds them."""
    return {"experiment": run.job.config.name, **run.job.config.record}


def _shown(record: Mapping[str, Value], image: Callable[[np.ndarray], Any]) -> dict[str, Any]:
    return {name: image(value) if isinstance(value, np.ndarray) else value for name, value in record.items()}


def _fresh() -> str:
    return uuid.uuid4().hex[:8]


def _known(path: Path, package: str) -> str | None:
    """Under which id the package tracks the run; None of a run that it does not track yet."""
    return _read(path).get(package)


def _keep(path: Path, package: str, name: str) -> None:
    files.write_json(path / FILE, _read(path) | {package: name}, indent=None)


def _read(path: Path) -> dict[str, str]:
    file = path / FILE
    if not file.exists():
        return {}
    record = json.loads(file.read_text())
    if not isinstance(record, dict) or not all(isinstance(name, str) for name in record.values()):
        raise ValueError(f"{file} is not what --tracker wrote")
    return record
