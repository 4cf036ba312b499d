"""Which run the same command, typed again, goes on with."""

import dataclasses
from pathlib import Path

from experiments import rundir
from experiments.configs import Config
from experiments.rundir import Run
from gan_jax import checkpoint
from gan_jax.errors import InputError


def to_go_on_with(config: Config, out: Path | None) -> Run | None:
    """What `--resume auto` goes on with: the run in `out`, or the newest unfinished one of these options in runs/NAME.

    Returns:
      The run, to the steps of `config`; None if a fresh one is to be started.

    Raises:
      InputError: the run in `out` was started with other options than `config` apart from the steps, or is none.
    """
    if out is not None:
        if rundir.vacant(out):
            return None
        run = rundir.load(out)
        if (option := _different(config, run.config)) is not None:
            raise InputError(f"{out} was started with another {option}: type the same again, or name another --out")
        return to_steps(run, config.run["steps"])
    for path in reversed(rundir.numbered(Path("runs") / config.experiment)):
        try:
            run = to_steps(rundir.load(path), config.run["steps"])
        except InputError:
            continue
        if _different(config, run.config) is None and not finished(run):
            return run
    return None


def to_steps(run: Run, steps: int) -> Run:
    """The same run with another last step."""
    return dataclasses.replace(run, config=dataclasses.replace(run.config, run={**run.config.run, "steps": steps}))


def finished(run: Run) -> bool:
    """Whether the last step is saved."""
    return max(checkpoint.steps(run.checkpoints), default=-1) >= run.config.run["steps"]


def _different(typed: Config, started: Config) -> str | None:
    """An option, other than the steps, in which the two differ, or NAME where they are of two recipes."""
    if typed.experiment != started.experiment:
        return f"recipe, {started.experiment}"
    mine, theirs = {**typed.run, **typed.recipe}, {**started.run, **started.recipe}
    options = (option for option in mine if option != "steps" and mine[option] != theirs[option])
    return next((f"--{option.replace('_', '-')}, {theirs[option]}" for option in options), None)
