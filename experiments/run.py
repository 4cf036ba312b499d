"""Train a recipe: python -m experiments.run NAME [options]."""

import argparse
import dataclasses
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
    """Parses, trains, and returns the exit code: 0 done, 1 diverged, 128 + signal stopped and saved."""
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview())
        return 0 if argv else 2
    name = argv[0]
    if name not in EXPERIMENTS:
        hint = cli.nearest(name, EXPERIMENTS)
        print(f"run: there is no recipe {name!r}{hint}; python -m experiments.run --help lists them", file=sys.stderr)
        return 2
    options = vars(parser(name).parse_args(argv[1:]))

    cli.start_jax()
    from experiments import loop, rundir
    from gan_jax import data

    if "resume" in options:
        run, dataset = _resumed(name, **options)
        return loop.train(run, dataset, resumed=True)
    config = _config(name, options)
    dataset = data.load(config.run["data"])
    # Built once before the directory is made: what does not fit the data costs nothing that is on disk.
    planned = rundir.Run(Path(), config, dataset.shape, dataset.num_classes)
    planned_gan = planned.gan()
    if config.run["track"] is not None:
        from experiments import tracking

        tracking.check(planned, planned_gan)
    run = rundir.create(config, dataset, options.get("out"), overwrite=options.get("overwrite", False))
    return loop.train(run, dataset, resumed=False)


def _resumed(name: str, resume: Path, steps: int | None = None, **others: Any) -> "tuple[Run, Dataset]":
    """The run to go on with, to `steps` if given, and its data.

    Raises:
      InputError: no such run of this recipe, other options than --steps were typed, or the data has changed.
    """
    from experiments import rundir
    from gan_jax import data
    from gan_jax.errors import InputError

    run = rundir.load(resume)
    config = run.config
    if config.experiment != name:
        raise InputError(f"{resume} was made by {config.experiment}: type experiments.run {config.experiment} --resume")
    if others:
        typed = ", ".join(f"--{option.replace('_', '-')}" for option in others)
        raise InputError(f"a resumed run keeps its options, only --steps may be given with --resume, not {typed}")
    dataset = data.load(config.run["data"])
    if (dataset.shape, dataset.num_classes) != (run.shape, run.num_classes):
        raise InputError(f"{dataset.name} has changed since {resume} was started: put the old data back, or start anew")
    steps = config.run["steps"] if steps is None else steps
    return dataclasses.replace(run, config=dataclasses.replace(config, run={**config.run, "steps": steps})), dataset


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


def parser(name: str) -> argparse.ArgumentParser:
    """The options of one recipe. What was not typed is not in the result: the defaults are `EXPERIMENTS`'."""
    experiment = EXPERIMENTS[name]
    paper = ", ".join(f"{k.replace('_', '-')} {v}" for k, v in experiment.paper_settings.items())
    options = cli.Parser(
        prog=f"python -m experiments.run {name}",
        description=f"{experiment.summary}\n{experiment.paper}\n\nDefaults suit two CPU cores and a few minutes.",
        epilog=f"--preset paper: {paper}",
        argument_default=argparse.SUPPRESS,
    )
    cli.add_options(options, experiment.run_options | experiment.recipe_options, experiment.defaults)
    options.add_argument("--preset", choices=["paper"], help="the paper's own settings and length (see below)")
    options.add_argument(
        "--out", type=Path, metavar="DIR", help="directory of this run (default: the next free runs/NAME/NNN)"
    )
    options.add_argument("--overwrite", action="store_true", help="replace the run in --out")
    options.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this directory, to --steps")
    return options


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    cli.main(main)
