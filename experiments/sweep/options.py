"""The options that sweeps and studies have in common: those of a recipe, as axes, and how members are scored."""

import argparse
import functools
from typing import Any

from experiments import cli
from experiments.configs import EXPERIMENTS, METRICS, Config, choice, whole
from experiments.sweep import plan as planning
from experiments.sweep.plan import Axis, Choices, Range

# Options of a run that all members share: their length, and what happens between steps.
_SHARED = ("steps", "data", "log_every", "save_every", "invert")
# The others make no sense of many runs at once, or are the command's own.
_LEFT_OUT = ("seed", "sample_every", "stream", "track", "every", "warmup_steps", "warmup_critic")


def parser(prog: str, description: str, name: str) -> argparse.ArgumentParser:
    """A parser of the common options; what was not typed is not in the result, or is a default of the command's own."""
    experiment = EXPERIMENTS[name]
    parser = cli.Parser(prog=prog, description=description, argument_default=argparse.SUPPRESS)
    options = experiment.run_options | experiment.recipe_options
    swept = {key: option for key, option in options.items() if key not in (*_SHARED, *_LEFT_OUT)}
    cli.add_options(parser, {key: options[key] for key in _SHARED}, experiment.defaults)
    axes = {key: option._replace(parse=functools.partial(planning.axis, option)) for key, option in swept.items()}
    cli.add_options(parser, axes, experiment.defaults)
    parser.set_defaults(seed=0, metric=None, score_samples=2000, preset=None)
    add = parser.add_argument
    add("--seed", type=cli.reader(whole(0)), metavar="S", help="first seed (default: 0)")
    add("--metric", type=cli.reader(choice(*METRICS)), metavar="M", help="score (default: frechet, or what fits)")
    add("--score-samples", type=cli.reader(whole(100)), metavar="N", help="samples of a score (default: 2000)")
    add("--preset", choices=["paper"], help="the paper's own settings, for what is not typed")
    return parser


def read(name: str, typed: dict[str, Any]) -> tuple[dict[str, Axis], Config]:
    """What was typed: the options that differ between members, and what all of them share."""
    experiment = EXPERIMENTS[name]
    preset = experiment.paper_settings if typed["preset"] == "paper" else {}
    values = {**experiment.defaults, **preset, "warmup_steps": 0, "track": None, "stream": False}
    values |= {option: typed[option] for option in _SHARED if option in typed} | {"seed": typed["seed"]}
    axes: dict[str, Axis] = {}
    for option in [*experiment.run_options, *experiment.recipe_options]:
        match typed.get(option):
            case Choices((value,)):
                values[option] = value
            case Choices() | Range() as axis:
                axes[option] = axis
    run = {option: values[option] for option in experiment.run_options}
    return axes, Config(name, run, {option: values[option] for option in experiment.recipe_options})
