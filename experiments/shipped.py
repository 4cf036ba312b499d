"""Make the trained generators that come with the package: python -m experiments.shipped [--only NAME] [--runs DIR].

Each is a recipe trained at its defaults and measured, by commands in processes of their own. Its generator is kept in
`gan_jax/lab/exports/models`, rounded to float16, with its card. What lies in --runs already is used, and continued
where it is not finished.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments import pictures
from gan_jax.gan import GANState
from gan_jax.lab import EXPERIMENTS, Trained, cli, files, load, sampling
from gan_jax.lab.experiment import config
from gan_jax.lab.exports import about, shipped
from gan_jax.lab.exports import directory as exports
from gan_jax.lab.options import several
from gan_jax.lab.runs import directory, starting

MODELS: Mapping[str, str] = {"mnist-cdcgan": "cdcgan", "mnist-wgan": "wgan"}
"""What each is called, and the experiment that it is."""

_COMPARED = 1000


def main(argv: list[str]) -> int:
    """Parses, and makes one model after the other; returns 0, or the exit code of a command that failed or stopped.

    Raises:
      InputError: a run in --runs is of other options than today's defaults, or something can't be written.
    """
    options = _parser().parse_args(argv)
    for name in options.only:
        experiment = MODELS[name]
        run = options.runs / experiment
        pictures.check(run, config(EXPERIMENTS, experiment, {}))
        try:
            pictures.train(experiment, options.runs)
            if not _is_measured(run):
                pictures.call("evaluate", run)
        except pictures.CommandError as error:
            return error.code
        _write(run, options.out / name)
    return 0


def _is_measured(run: Path) -> bool:
    """Whether the evaluation of the last step is there, and whole."""
    file = run / "evaluation.json"
    if not file.exists():
        return False
    record = json.loads(file.read_text(encoding="utf-8"))
    return bool(record["complete"]) and record["step"] == directory.load(run, EXPERIMENTS).until


def _write(run: Path, out: Path) -> None:
    found = load(run, table=EXPERIMENTS)
    lab = cli.Lab(EXPERIMENTS, "python -m experiments.{}")
    made = about.of_run(
        lab, directory.load(run, EXPERIMENTS), int(found.state.step), averaged=found.state.ema is not None
    )
    rounded = dataclasses.replace(found, state=_rounded(found.state))
    made["rounded"] = _difference(found, rounded)
    picture = sampling.shown(found.job, found.gan, rounded.state, print)
    with files.write_errors(out):
        exports.write(out, found.job, found.gan, rounded.state, made, picture, whole=False)
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"{out}: {size / 1e6:.2g} MB, rounded: {made['rounded']}")


def _rounded(state: GANState) -> GANState:
    """The state with the weights of both players rounded to float16."""
    weights = {name: np.asarray(leaf) for name, leaf in starting.weights_of(state).items()}
    return starting.with_weights(state, {name: leaf.astype(np.float16) for name, leaf in weights.items()})


def _difference(whole: Trained, rounded: Trained) -> dict[str, float]:
    """What rounding changes: the largest difference of a pixel, in grey levels, and the share of pixels that differ."""
    a, b = (of.sample(_COMPARED).astype(np.int32) for of in (whole, rounded))
    return {"samples": _COMPARED, "largest": int(np.abs(a - b).max()), "share": float((a != b).mean())}


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog="python -m experiments.shipped",
        description="Makes the trained generators that come with the package: trains, measures, keeps. An interrupted\n"
        "command, typed again, continues.",
    )
    add = parser.add_argument
    add(
        "--only",
        type=cli.reader(several(*MODELS)),
        default=tuple(MODELS),
        metavar="A,B",
        help=f"which: {', '.join(MODELS)} (default: all)",
    )
    add(
        "--runs",
        type=cli.path,
        default=Path("runs") / "pictures",
        metavar="DIR",
        help="where runs lie, as DIR/EXPERIMENT; those that are there are used (default: runs/pictures)",
    )
    add(
        "--out",
        type=cli.path,
        default=shipped.models(),
        metavar="DIR",
        help="directory of the models (default: that of this package)",
    )
    return parser


if __name__ == "__main__":
    cli.guarded("shipped", lambda: main(sys.argv[1:]))
