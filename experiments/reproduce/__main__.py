"""Reproduce a published table: python -m experiments.reproduce TABLE [--budget small] [--out DIR]."""

import argparse
import importlib
import os
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS, cli, devices
from gan_jax.lab.options import integer, several


class _Entry(NamedTuple):
    """A table: the module here, its function `budget -> Table`, what it shows, and its budgets."""

    module: str
    function: str
    what: str
    budgets: tuple[str, ...] = ("full", "small")


_WITH_PAPER = ("full", "small", "paper")

TABLES = {
    "defaults": _Entry("defaults", "table", "every experiment at its defaults: quality, failures, seconds"),
    "papers": _Entry("defaults", "papers", "every experiment at its paper's settings: quality, failures"),
    "augment": _Entry("augment", "table", "500 images of MNIST with and without augmentation (Zhao et al. 2020)"),
    "created_equal": _Entry(
        "created_equal",
        "mnist",
        "eight objectives, each at the best of 64 settings, 30 seeds (Lucic et al. 2018): MNIST",
        _WITH_PAPER,
    ),
    "created_equal_fashion": _Entry("created_equal", "fashion_mnist", "the same on Fashion-MNIST", _WITH_PAPER),
    "convergence": _Entry(
        "convergence", "table", "which methods converge in the plane? (Mescheder et al. 2018)", _WITH_PAPER
    ),
    "dirac": _Entry("dirac", "table", "Dirac-GAN (Mescheder et al. 2018): eigenvalues, closed form and train step"),
    "distance": _Entry(
        "distance", "table", "the critic's estimate against the exact Wasserstein distance", _WITH_PAPER
    ),
    "ring": _Entry("points", "ring", "eight Gaussians on a ring (Lin et al. 2018): modes, quality, reverse KL, width"),
    "grid": _Entry("points", "grid", "25 Gaussians on a grid, as ring"),
    "gan_train": _Entry("gan_train", "table", "MNIST, one conditional model (Lesort et al. 2018): GAN-train, GAN-test"),
    "infogan": _Entry("infogan", "table", "InfoGAN on MNIST (Chen et al. 2016): error of the code as a classifier"),
    "lazy": _Entry(
        "lazy", "table", "R1 + R2 at every k-th step: quality, cost, failures; lengths of averages", _WITH_PAPER
    ),
    "one_step": _Entry(
        "one_step", "table", "GANs as one-step generators in the plane: what do priors cover?", _WITH_PAPER
    ),
    "parzen": _Entry("parzen", "table", "MNIST, Parzen windows (Goodfellow et al. 2014; Mirza & Osindero 2014)"),
    "random_net": _Entry("random_net", "table", "does a net of random weights rank samples as a classifier does?"),
    "spectrum": _Entry("spectrum", "table", "eigenvalues of the game's Jacobian, every loss and penalty"),
    "stacked": _Entry("stacked", "table", "Stacked MNIST (Lin et al. 2018): modes and KL"),
    "translation": _Entry("translation", "table", "pix2pix (Isola et al. 2017): L1, GAN, both; every condition"),
    "wgan_claims": _Entry("wgan_claims", "table", "does the critic's estimate follow quality? (Arjovsky et al. 2017)"),
}


_OF_EXPERIMENTS = ("defaults", "papers")
"""Tables with a row for every experiment."""


def main(argv: list[str]) -> int:
    """Parses, measures what is missing, prints the table; returns 0, or 1 if training became non-finite."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.table not in _OF_EXPERIMENTS and options.only:
        parser.error(f"--only is for the tables {' and '.join(_OF_EXPERIMENTS)}")
    if options.table != "defaults" and options.time:
        parser.error("--time is for the table defaults")
    if options.budget not in TABLES[options.table].budgets:
        having = ", ".join(name for name, entry in TABLES.items() if options.budget in entry.budgets)
        parser.error(f"the table {options.table} has no budget {options.budget}: choose it of {having}")

    # One seed per core: a small net does not fill two. What is timed is one run, which has all of them.
    cli.start_jax(devices=None if options.time else devices.cores())
    from experiments.reproduce import table as tables

    entry = TABLES[options.table]
    module = importlib.import_module(f"experiments.reproduce.{entry.module}")
    table = getattr(module, entry.function)(options.budget)
    name = options.table if options.budget == "full" else f"{options.table}-{options.budget}"
    only = _rows(options) if options.table in _OF_EXPERIMENTS else None
    try:
        tables.make(name, table, _command(options), options.out, only=only, seeds=options.seeds)
    except FloatingPointError as error:
        print(f"reproduce: {error}; earlier results are kept in {options.out}", file=sys.stderr)
        return 1
    if options.table == "defaults" and not options.time:
        _time_next()
    print((options.out / f"{name}.md").read_text())
    return 0


def _rows(options: argparse.Namespace) -> list[str]:
    """The rows of the experiments that are asked for."""
    from experiments.reproduce import defaults

    names = options.only or defaults.names()
    if others := [name for name in names if name not in defaults.names()]:
        raise InputError(f"the defaults of {', '.join(others)} are not for MNIST: leave out --only {','.join(others)}")
    return [defaults.timed_row(name) if options.time else name for name in names]


def _time_next() -> None:
    """Goes on as the command that measures seconds: on all cores, and with JAX started as a run starts it."""
    used, present = devices.cores(), os.cpu_count() or 1
    if used == present:
        os.execv(sys.executable, [*sys.orig_argv, "--time"])
    print(
        f"reproduce: seconds are not measured, this command may use {used} of {present} cores: type it again with "
        "--time on all of them",
        file=sys.stderr,
    )


def _command(options: argparse.Namespace) -> str:
    """What makes the whole table."""
    small = [] if options.budget == "full" else ["--budget", options.budget]
    return shlex.join(["python", "-m", "experiments.reproduce", options.table, *small, "--out", str(options.out)])


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog="python -m experiments.reproduce",
        description="Runs recipes over seeds and prints our numbers beside the published ones; writes TABLE.json,\n"
        "TABLE.md and pictures. Every result is saved at once: to continue an interrupted\n"
        "command, run it again.",
        epilog="tables:\n" + cli.listed((name, entry.what) for name, entry in TABLES.items()),
    )
    parser.add_argument("table", choices=TABLES, metavar="TABLE", help="which table, see below")
    parser.add_argument(
        "--budget",
        choices=["full", "small", "paper"],
        default="full",
        help="small: few seeds and steps, for a quick check; paper: the source's networks and length, of some tables, "
        "for a GPU; under the name TABLE-BUDGET (default: full)",
    )
    parser.add_argument(
        "--out",
        type=cli.path,
        default=Path("tables"),
        metavar="DIR",
        help="directory of the results (default: tables/)",
    )
    add = parser.add_argument
    add("--seeds", type=cli.reader(integer(1)), metavar="N", help="the first N seeds of every row (default: all)")
    add(
        "--only",
        type=cli.reader(several(*EXPERIMENTS)),
        metavar="A,B",
        help="of defaults and papers: these experiments; several such commands may fill one table",
    )
    add("--time", action="store_true", help="of defaults: measure seconds alone, for a quiet machine")
    return parser


if __name__ == "__main__":
    cli.guarded("reproduce", lambda: main(sys.argv[1:]))
