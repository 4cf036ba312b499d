"""Check that no verdict is a false alarm: python -m experiments.verdicts [--only NAME,NAME] [--share S] [--runs DIR].

Trains every experiment at its defaults, or for a share of their length, and prints what is said of each. These runs are
healthy: 1 is returned where a fault is named. An interrupted command, typed again, continues.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from gan_jax.lab import EXPERIMENTS, cli
from gan_jax.lab.options import real, several
from gan_jax.lab.report import runs, verdict
from gan_jax.lab.runs import directory, journal

FAULTS = frozenset({"diverging", "d_wins", "collapsed", "flat"})


def main(argv: list[str]) -> int:
    """Trains, and prints a table; returns 0, 1 where a fault is named, or the code of a run that failed."""
    options = _parser().parse_args(argv)
    alarms = 0
    print("| experiment | steps | verdict | in words |\n|---|---|---|---|")
    for name in options.only:
        steps = max(50, round(options.share * EXPERIMENTS[name].defaults["steps"]))
        path = options.runs / name
        every = ["--log-every", str(max(1, steps // 100)), "--sample-every", str(max(1, steps // 10))]
        typed = [sys.executable, "-m", "experiments.run", name, "--steps", str(steps), *every]
        done = subprocess.run([*typed, "--out", str(path), "--resume", "auto"], stdout=subprocess.DEVNULL)
        if done.returncode not in (0, 1):
            return done.returncode if done.returncode > 0 else 128 - done.returncode
        run, found = directory.load(path, EXPERIMENTS), journal.read(path)
        rows, loss = runs.rows_of(path), run.job.gan().loss
        said = verdict.of(rows, status=found["status"], step=found["step"], steps=found["steps"], loss=loss)
        alarms += said.kind in FAULTS
        print(f"| `{name}` | {found['step']:,} | {said.kind} | {said.text} |", flush=True)
    return 1 if alarms else 0


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(prog="python -m experiments.verdicts", description="\n".join((__doc__ or "").splitlines()[2:]))
    add = parser.add_argument
    add(
        "--only",
        type=cli.reader(several(*EXPERIMENTS)),
        default=tuple(EXPERIMENTS),
        metavar="A,B",
        help="which experiments (default: all)",
    )
    add(
        "--share",
        type=cli.reader(real(0.0, 1.01, above=True)),
        default=1.0,
        metavar="S",
        help="share of the default length (default: 1)",
    )
    add(
        "--runs",
        type=cli.path,
        default=Path("runs") / "verdicts",
        metavar="DIR",
        help="where runs lie, as DIR/NAME (default: runs/verdicts)",
    )
    return parser


if __name__ == "__main__":
    cli.guarded("verdicts", lambda: main(sys.argv[1:]))
