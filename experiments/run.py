"""Train a recipe: python -m experiments.run NAME [options]."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import cli
from experiments.configs import EXPERIMENTS, Config

if TYPE_CHECKING:
    from experiments.rundir import Run
    from gan_jax.data import Dataset


def main(argv: list[str]) -> int:
    """Parses, trains, and returns the exit code: 0 done, 1 diverged or disk full, 128 + signal stopped and saved."""
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview())
        return 0 if argv else 2
    name = argv[0]
    if name not in EXPERIMENTS:
        hint = cli.nearest(name, EXPERIMENTS)
        print(f"run: there is no recipe {name!r}{hint}; python -m experiments.run --help lists them", file=sys.stderr)
        return 2
    options = _parsed(name, argv[1:])

    cli.start_jax()
    from experiments import loop, resuming, rundir
    from gan_jax import checkpoint

    run, dataset = _resumed(name, **options) if "resume" in options else _fresh(name, **options)
    with rundir.alone(run.path / "config.json"):
        if resuming.finished(run):
            print(f"{run.path} is finished: its last checkpoint is of step {checkpoint.steps(run.checkpoints)[0]}")
            return 0
        return loop.train(run, dataset)


def _fresh(name: str, out: Path | None = None, overwrite: bool = False, **typed: Any) -> "tuple[Run, Dataset]":
    """A new run, its directory made, and its data."""
    from experiments import rundir
    from gan_jax import data

    config = _config(name, typed)
    dataset = data.load(config.run["data"])
    # Built once before the directory is made: what does not fit the data costs nothing that is on disk.
    draft = rundir.Run(Path(), config, dataset.shape, dataset.num_classes)
    gan = draft.gan()
    draft.like(gan)
    if config.run["track"] is not None:
        from experiments import tracking

        tracking.check(draft, gan)
    return rundir.create(config, dataset, out, overwrite=overwrite), dataset


def _resumed(name: str, resume: Path | None, out: Path | None = None, **typed: Any) -> "tuple[Run, Dataset]":
    """The run to go on with, to the steps typed, and its data; for `--resume auto` a fresh one where there is none.

    Raises:
      InputError: no such run of this recipe, it was started with other options, or the data has changed.
    """
    from experiments import resuming, rundir
    from gan_jax import data
    from gan_jax.errors import InputError

    if resume is None:
        found = resuming.to_go_on_with(_config(name, typed), out)
        if found is None:
            return _fresh(name, out, **typed)
        run = found
    else:
        run = rundir.load(resume)
        if run.config.experiment != name:
            made = run.config.experiment
            raise InputError(f"{resume} was made by {made}: type experiments.run {made} --resume {resume}")
        run = resuming.to_steps(run, typed.pop("steps", run.config.run["steps"]))
        others = ", ".join(f"--{option.replace('_', '-')}" for option in typed | ({"out": out} if out else {}))
        if others:
            raise InputError(f"a resumed run keeps its options, only --steps may be given with --resume, not {others}")
    dataset = data.load(run.config.run["data"])
    if (dataset.shape, dataset.num_classes) != (run.shape, run.num_classes):
        raise InputError(f"{dataset.name} has changed since {run.path} was started: put it back, or start anew")
    return run, dataset


def _config(name: str, typed: dict[str, Any]) -> Config:
    experiment = EXPERIMENTS[name]
    preset = experiment.paper_settings if typed.get("preset") == "paper" else {}
    values = {**experiment.defaults, **preset, **typed}
    return Config(
        name,
        {option: values[option] for option in experiment.run_options},
        {option: values[option] for option in experiment.recipe_options},
    )


def _overview() -> str:
    lines = ["usage: python -m experiments.run NAME [options]", "", "recipes (NAME --help lists the options of one):"]
    lines += [f"  {name:<15} {e.summary}\n  {'':<15}   {e.paper}" for name, e in EXPERIMENTS.items()]
    return "\n".join(lines)


def _parsed(name: str, arguments: list[str]) -> dict[str, Any]:
    """What was typed; with --resume auto `resume` is None."""
    options = parser(name)
    typed = vars(options.parse_args(arguments))
    if "overwrite" in typed and "resume" in typed:
        options.error("--overwrite and --resume exclude each other: start anew, or go on")
    return typed


def parser(name: str) -> argparse.ArgumentParser:
    """The options of one recipe. What was not typed is not in the result: the defaults are `EXPERIMENTS`'."""
    experiment = EXPERIMENTS[name]
    paper = ", ".join(f"{k.replace('_', '-')} {v}" for k, v in experiment.paper_settings.items())
    options = cli.Parser(
        prog=f"python -m experiments.run {name}",
        description=f"{experiment.summary}\n{experiment.paper}\n\nDefaults suit two CPU cores and a few minutes.",
        epilog=f"--preset paper: {paper}\n\nexit codes: 0 done, 1 diverged or disk full, 2 input that can't be used, "
        "130 and 143 stopped by\nCtrl-C and SIGTERM (129 by a hang-up) and saved: the same command with --resume auto "
        "goes on",
        argument_default=argparse.SUPPRESS,
    )
    cli.add_options(options, experiment.run_options | experiment.recipe_options, experiment.defaults)
    options.add_argument("--preset", choices=["paper"], help="the paper's own settings and length (see below)")
    options.add_argument(
        "--out", type=Path, metavar="DIR", help="directory of this run (default: the next free runs/NAME/NNN)"
    )
    options.add_argument("--overwrite", action="store_true", help="replace the run in --out")
    options.add_argument(
        "--resume",
        type=lambda text: None if text == "auto" else Path(text),
        metavar="RUN|auto",
        help="go on with the run in this directory, to --steps, its other options kept; auto: go on with the run in "
        "--out, or else with the newest unfinished one in runs/NAME, if it was started with the options typed; where "
        "there is none start a fresh one, and where the run in --out is finished do nothing, so that one command can "
        "be typed until it exits with 0",
    )
    return options


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    cli.main(main)
