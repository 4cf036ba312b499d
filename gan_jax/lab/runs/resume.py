"""Which run the same command, typed again, continues, and whether a run can be continued."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from gan_jax import checkpoint
from gan_jax.errors import InputError
from gan_jax.lab import files
from gan_jax.lab.experiment import Config, Table
from gan_jax.lab.runs import directory, logs, starting
from gan_jax.lab.runs.directory import RunDir
from gan_jax.lab.values import Scheduled


def find_resumable(table: Table, config: Config, out: Path | None, start: Path | None = None) -> RunDir | None:
    """What `--resume auto` continues: the run in `out`, or the newest unfinished one of these options in runs/NAME.

    Args:
      table: where experiments are looked up.
      config: the options typed.
      out: --out as typed, or None.
      start: --from as typed, or None.

    Returns:
      The run, to the steps of `config`; None if a fresh one is to be started.

    Raises:
      InputError: the run in `out` was started with other options than `config` apart from the steps, or is none.
    """
    if out is not None:
        if files.is_free(out):
            return None
        run = directory.load(out, table)
        if (option := _different(config, run.job.config) or _from_elsewhere(start, run)) is not None:
            raise InputError(
                f"{out} was started with another {option}: type the same again, or choose a different --out"
            )
        return dataclasses.replace(run, until=config.options["steps"])
    for path in reversed(files.numbered(Path("runs") / config.name)):
        try:
            run = dataclasses.replace(directory.load(path, table), until=config.options["steps"])
        except InputError:
            continue
        if (_different(config, run.job.config) or _from_elsewhere(start, run)) is None and not run.finished:
            return run
    return None


def check(run: RunDir, *, killed: bool, again: str) -> None:
    """Checks that a run has what its steps so far have left, before anything is written.

    Args:
      run: the run.
      killed: whether a run without a checkpoint may be one that was killed before its first, to be started afresh.
      again: the command that starts it afresh.

    Raises:
      InputError: its checkpoints were not copied, or not whole.
    """
    if checkpoint.steps(run.checkpoints):
        return
    entries = run.checkpoints.iterdir() if run.checkpoints.is_dir() else ()
    folders = sorted(int(path.name) for path in entries if path.name.isdecimal() and path.is_dir())
    last = max(_lines(run) or {}, default=0)
    # A kill leaves one folder without its manifest at most: that of the save in which it came.
    if len(folders) > 1 or (not killed and (folders or last)):
        if folders:
            what = f"{run.checkpoints} holds {', '.join(map(str, folders))} without {folders[0]}.json"
        else:
            what = f"its metrics.jsonl goes to step {last} and {run.checkpoints} holds no checkpoint"
        raise InputError(f"{run.path} can't be continued, {what}: copy the whole directory, or start it again: {again}")


def notices(run: RunDir) -> list[str]:
    """What someone who continues a run should know of it, a sentence each."""
    found = []
    try:
        started = json.loads((run.path / "config.json").read_text(encoding="utf-8")).get("versions")
    except (OSError, ValueError) as error:
        raise InputError(f"{run.path / 'config.json'} can't be read ({error}): choose a different run") from error
    now = directory.versions()
    if isinstance(started, dict) and (others := [name for name in now if started.get(name, now[name]) != now[name]]):
        differences = ", ".join(f"{name} {started[name]} (now {now[name]})" for name in others)
        found.append(f"{run.path} was started with {differences}: it goes on, but not to the same bits")
    if (run.path / "best.json").exists() and not checkpoint.steps(run.best_checkpoints):
        found.append(f"{run.best_checkpoints} lacks the checkpoint of best.json: the best is chosen anew from here on")
    steps = checkpoint.steps(run.checkpoints)
    if not steps:
        return [*found, f"{run.path} has no checkpoint: starting from step 0"]
    lines, every = _lines(run), run.job.options["log_every"]
    if lines is None:
        found.append(f"{run.path / 'metrics.jsonl'} is not what the run wrote: its new lines follow it all the same")
    elif (last := steps[0] - steps[0] % every) and last not in lines:
        found.append(f"{run.path / 'metrics.jsonl'} lacks lines up to step {last}: only the new ones will follow")
    return found


def spent(run: RunDir) -> str | None:
    """What to say of a run that is to train on where its learning rate has fallen to 0; None of any other."""
    options = run.job.options
    names = [f"--{name.replace('_', '-')}" for name in ("lr", "d_lr") if _ends_at_0(options.get(name))]
    if not names or run.until <= options["steps"]:
        return None
    return (
        f"{', '.join(names)} of {run.path} is 0 from step {options['steps']} on, where its schedule ends: to train "
        f"longer, start a new run with --steps {run.until}"
    )


def _ends_at_0(value: Any) -> bool:
    return isinstance(value, Scheduled) and value.values[-1] == 0


def _lines(run: RunDir) -> dict[int, dict[str, float]] | None:
    """The lines of the run's metrics by step; None where they can't be read."""
    try:
        return logs.read(run.path / "metrics.jsonl")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return None


def _different(typed: Config, started: Config) -> str | None:
    """An option, other than the steps, in which the two differ, or NAME where they are of two experiments."""
    if typed.name != started.name:
        return f"experiment, {started.name}"
    names = (name for name in typed.options if name != "steps" and typed.options[name] != started.options[name])
    return next((f"--{name.replace('_', '-')}, {started.spelled(name)}" for name in names), None)


def _from_elsewhere(typed: Path | None, started: RunDir) -> str | None:
    """--from and where a run started from, if that is not what was typed."""
    path = None if started.start is None else started.start.path
    return None if path == (None if typed is None else starting.spelled(typed)) else f"--from, {path or 'none'}"
