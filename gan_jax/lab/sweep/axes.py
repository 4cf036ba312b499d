"""The options that sweeps and studies have in common: those of an experiment, as axes, and how members are scored."""

import argparse
import functools
from collections.abc import Mapping
from typing import Any

from gan_jax.lab import cli, experiment
from gan_jax.lab.cli import Lab
from gan_jax.lab.experiment import Config
from gan_jax.lab.measuring.measures import MEASURES
from gan_jax.lab.options import choice, integer
from gan_jax.lab.sweep import plan as planning
from gan_jax.lab.sweep.plan import Axis, Span

# Options of a run that all members share: their length, and what happens between steps.
SHARED = ("steps", "data", "classifier", "log_every", "save_every", "warmup_steps", "warmup_critic", "invert")
# The others make no sense of many runs in one program, or are the command's own.
LEFT_OUT = ("seed", "sample_every", "stream", "track", "track_every")


def parser(lab: Lab, command: str, name: str, description: str) -> argparse.ArgumentParser:
    """A parser of the common options; what was not typed is not in the result, or is a default of the command's own."""
    chosen = lab.table[name]
    parser = cli.Parser(prog=lab.command(command, name), description=description, argument_default=argparse.SUPPRESS)
    options = chosen.options
    cli.add_options(parser, {key: options[key] for key in SHARED if key in options}, chosen)
    swept = {key: option for key, option in options.items() if key not in (*SHARED, *LEFT_OUT)}
    axes = {key: option._replace(parse=functools.partial(planning.axis, option)) for key, option in swept.items()}
    parser.register("action", None, _Once)
    cli.add_options(parser, axes, chosen)
    parser.set_defaults(seed=0, metric=None, score_samples=2000, preset=None, features=None)
    add = parser.add_argument
    add("--seed", type=cli.reader(integer(0)), metavar="S", help="first seed (default: 0)")
    add(
        "--metric",
        type=cli.reader(choice(*MEASURES)),
        metavar="M",
        help="score (default: frechet of images, else what fits)",
    )
    cli.add_features(parser)
    add("--score-samples", type=cli.reader(integer(100)), metavar="N", help="samples of a score (default: 2000)")
    if chosen.paper:
        add("--preset", choices=["paper"], help="the paper's own settings, for what is not typed")
    return parser


class _Once(argparse.Action):
    """Takes what is typed, in place of an earlier value; but not of an axis, which would be lost without a word."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, typed: Any, flag: str | None = None
    ) -> None:
        before = getattr(namespace, self.dest, typed)
        if isinstance(before, tuple) and before != typed and (len(before) > 1 or isinstance(before[0], Span)):
            parser.error(f"{flag} is typed twice: type all of its values at once, A,B,C")
        setattr(namespace, self.dest, typed)


def read(lab: Lab, name: str, typed: Mapping[str, Any]) -> tuple[dict[str, Axis], Config]:
    """What was typed: the options that differ between members, and what all of them share, with the first choices."""
    base: dict[str, Any] = {"seed": typed["seed"]}
    axes: dict[str, Axis] = {}
    for option in lab.table[name].options:
        if option in LEFT_OUT or option not in typed:
            continue
        if option in SHARED:
            base[option] = typed[option]
            continue
        first, *others = typed[option]
        base[option] = planning.low_of(first)
        if others or isinstance(first, Span):
            axes[option] = typed[option]
    found = experiment.config(lab.table, name, base, paper=typed["preset"] == "paper")
    experiment.check_used(found.experiment, axes, found.options["data"])
    return axes, found
