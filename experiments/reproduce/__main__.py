"""Reproduce a published table: python -m experiments.reproduce TABLE [--budget small] [--out DIR] [--include FILE]."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from experiments import cli

TABLES = {
    "dirac": "Dirac-GAN (Mescheder et al. 2018): eigenvalues in closed form beside those of the train step",
    "ring": "eight Gaussians on a ring (Lin et al. 2018): modes, high-quality share, reverse KL, width of the modes",
    "grid": "25 Gaussians on a grid, as ring",
    "gan_train": "MNIST, one conditional model (Lesort et al. 2018): GAN-train and GAN-test",
    "parzen": "MNIST, Parzen windows (Goodfellow et al. 2014; Mirza & Osindero 2014)",
    "stacked": "Stacked MNIST (Lin et al. 2018): modes and KL",
    "wgan_claims": "does the critic's estimate follow quality? (Arjovsky et al. 2017): rank correlations",
}


def main(argv: list[str]) -> int:
    """Parses, measures what is missing, prints the table; returns 0, or 1 where a GAN stopped being finite."""
    options = _parser().parse_args(argv)

    # One seed a core: a small net does not fill two.
    cli.start_jax(devices=cli.cores())
    from experiments.reproduce import dirac, gan_train, parzen, points, stacked, study, wgan_claims

    makers = {
        "dirac": dirac.table,
        "ring": points.ring,
        "grid": points.grid,
        "gan_train": gan_train.table,
        "parzen": parzen.table,
        "stacked": stacked.table,
        "wgan_claims": wgan_claims.table,
    }
    command = shlex.join(["python", "-m", "experiments.reproduce", *argv])
    table = makers[options.table](options.budget)
    name = options.table if options.budget == "full" else f"{options.table}-small"
    try:
        study.make(name, table, command, options.out, options.include, say=lambda line: print(line, flush=True))
    except FloatingPointError as error:
        print(f"reproduce: {error}; the results before that are kept in {options.out}", file=sys.stderr)
        return 1
    print((options.out / f"{name}.md").read_text())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog="python -m experiments.reproduce",
        description="Runs recipes over seeds and prints our numbers beside the published ones; writes TABLE.json,\n"
        "TABLE.md and pictures. Every result is kept as soon as it is there: an interrupted command goes on where it\n"
        "was when it is typed again.",
        epilog="tables:\n" + "\n".join(f"  {name:<12} {what}" for name, what in TABLES.items()),
    )
    parser.add_argument("table", choices=TABLES, metavar="TABLE", help="which, see below")
    parser.add_argument(
        "--budget",
        choices=["full", "small"],
        default="full",
        help="small: few seeds and steps, to see that it works, under the name TABLE-small (default: full)",
    )
    parser.add_argument("--out", type=Path, default=Path("tables"), metavar="DIR", help="results (default: tables/)")
    parser.add_argument(
        "--include",
        type=Path,
        metavar="FILE",
        help="put the table into this document too, between its comments <!-- table NAME --> and <!-- end of NAME -->",
    )
    return parser


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    cli.main(main)
