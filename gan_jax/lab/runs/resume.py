"""Which run the same command, typed again, continues."""

import dataclasses
from pathlib import Path

from gan_jax.errors import InputError
from gan_jax.lab import files
from gan_jax.lab.experiment import Config, Table
from gan_jax.lab.runs import directory
from gan_jax.lab.runs.directory import RunDir


def find_resumable(table: Table, config: Config, out: Path | None) -> RunDir | None:
    """What `--resume auto` continues: the run in `out`, or the newest unfinished one of these options in runs/NAME.

    Returns:
      The run, to the steps of `config`; None if a fresh one is to be started.

    Raises:
      InputError: the run in `out` was started with other options than `config` apart from the steps, or is none.
    """
    if out is not None:
        if files.is_free(out):
            return None
        run = directory.load(out, table)
        if (option := _different(config, run.job.config)) is not None:
            raise InputError(f"{out} was started with another {option}: type the same again, or choose a different --out")
        return dataclasses.replace(run, until=config.options["steps"])
    for path in reversed(files.numbered(Path("runs") / config.name)):
        try:
            run = dataclasses.replace(directory.load(path, table), until=config.options["steps"])
        except InputError:
            continue
        if _different(config, run.job.config) is None and not run.finished:
            return run
    return None


def _different(typed: Config, started: Config) -> str | None:
    """An option, other than the steps, in which the two differ, or NAME where they are of two experiments."""
    if typed.name != started.name:
        return f"experiment, {started.name}"
    names = (name for name in typed.options if name != "steps" and typed.options[name] != started.options[name])
    return next((f"--{name.replace('_', '-')}, {started.spelled(name)}" for name in names), None)
