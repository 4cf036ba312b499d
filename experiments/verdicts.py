"""Check the verdicts: python -m experiments.verdicts [--only NAME,NAME] [--share S] [--jobs N] [--runs DIR]
[--record FILE].

Trains every experiment at its defaults, or for a share of their length, which is healthy, and runs that were made to
have a fault, such as a learning rate a thousand times too high. Prints what is said of each, and returns 1 where a
healthy run is said to have a fault, or a fault is not seen. An interrupted command, typed again, continues.

The numbers that a verdict is made of fit in few lines: `--record tests/experiments/verdicts.json` keeps them, and tests
judge them again.
"""

import argparse
import concurrent.futures
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gan_jax import losses
from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS, cli
from gan_jax.lab.files import write_errors, write_text
from gan_jax.lab.options import integer, real, several
from gan_jax.lab.report import runs, verdict
from gan_jax.lab.report.verdict import Verdict
from gan_jax.lab.runs import directory, journal

FAULTS = frozenset({"diverging", "d_wins", "collapsed", "flat"})

_OF_TIME = {"seconds", "steps_per_s"}


class Case(NamedTuple):
    """A run to judge.

    Attributes:
      experiment: its name.
      steps: how many it makes.
      typed: what is typed besides.
      faults: the verdicts that are right, where it was made to have a fault; empty of a healthy one.
    """

    experiment: str
    steps: int
    typed: tuple[object, ...] = ()
    faults: frozenset[str] = frozenset()

    def right(self, said: Verdict) -> bool:
        """Whether that is what should be said."""
        return said.kind in self.faults if self.faults else said.kind not in FAULTS


def _made(experiment: str, steps: int, faults: str, *typed: object) -> Case:
    return Case(experiment, steps, typed, frozenset(faults.split()))


_SHALLOW = (
    *("--lr", 2e-4, "--batch-size", 128, "--depth", 1, "--batch-norm", "no", "--d-depth", "none"),
    *("--d-activation", "relu", "--dropout", 0),
)

MADE: Mapping[str, Case] = {
    # What a learning rate of a thousand times the default does to a game of probabilities, and one of a hundred times
    # to a clipped critic. With a hundred times `gan` ends in another way with every seed, and sometimes well; `dcgan`
    # still learns digits then, and with a D that is ten times as fast, but not from one latent.
    "gan-lr": _made("gan", 500, "d_wins", "--lr", 2e-1),
    "wgan-lr": _made("wgan", 200, "flat", "--lr", 5e-2),
    "gan-d_lr": _made("gan", 500, "d_wins", "--d-lr", 2e-3),
    "gan-latent": _made("gan", 1000, "collapsed", *_SHALLOW, "--latent", 1),
    "dcgan-latent": _made("dcgan", 300, "collapsed", "--latent", 1, "--width", 16),
    "gan-ring": _made("gan", 1000, "collapsed", "--batch-size", 128, "--data", "ring", "--lr", 1e-3),
    "wgan-clip": _made("wgan", 200, "flat", "--clip", 1e-4),
    "gan-wasserstein": _made("gan", 500, "diverging", *_SHALLOW, "--loss", "wasserstein", "--lr", 1e-2),
}
"""Runs that were made to have a fault."""


def cases(share: float) -> dict[str, Case]:
    """All of them by name, the healthy ones for a share of their length."""
    healthy = {
        name: Case(name, max(50, round(share * experiment.defaults["steps"])))
        for name, experiment in EXPERIMENTS.items()
    }
    return healthy | dict(MADE)


def main(argv: list[str]) -> int:
    """Trains, and prints a table; returns 0, 1 where a verdict is wrong, or the code of a run that failed."""
    options = _parser().parse_args(argv)
    known, wrong = cases(options.share), 0
    print("| run | steps | verdict |  | in words |\n|---|---|---|---|---|")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        codes = pool.map(lambda name: trained(known[name], options.runs / name), options.only)
        for name, code in zip(options.only, codes, strict=True):
            if code not in (0, 1):
                pool.shutdown(cancel_futures=True)
                return code if code > 0 else 128 - code
            found = evidence(options.runs / name)
            said = judged(found)
            right = known[name].right(said)
            wrong += not right
            mark = "right" if right else "wrong"
            print(f"| `{name}` | {found['step']:,} | {said.kind} | {mark} | {said.text} |", flush=True)
            if options.record is not None:
                record(options.record, name, found)
    return 1 if wrong else 0


def trained(case: Case, path: Path) -> int:
    """Trains, or continues, by the command, and returns its code."""
    every = ("--log-every", max(1, case.steps // 100), "--sample-every", max(1, case.steps // 10))
    typed = map(str, (case.experiment, *case.typed, "--steps", case.steps, *every, "--out", path, "--resume", "auto"))
    command = [sys.executable, "-m", "experiments.run", *typed]
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode


def evidence(path: Path) -> dict[str, Any]:
    """What the verdict on a run is made of, as JSON: its lines as columns, to four digits, and how far it came."""
    run, journalled, rows = directory.load(path, EXPERIMENTS), journal.read(path), runs.rows_of(path)
    names = sorted({name for row in rows.values() for name in row} - _OF_TIME)
    columns = {name: [_rounded(row.get(name)) for row in rows.values()] for name in names}
    return {
        **{name: journalled[name] for name in ("status", "step", "steps")},
        "unaugmented": run.job.unaugmented,
        "shown": list(run.job.gan().loss.shown),
        "lines": {"step": list(rows), **columns},
    }


def judged(found: Mapping[str, Any]) -> Verdict:
    """The verdict on a run by its `evidence`."""
    lines = dict(found["lines"])
    steps = lines.pop("step")
    rows = {
        step: {name: column[k] for name, column in lines.items() if column[k] is not None}
        for k, step in enumerate(steps)
    }
    so_far = {name: found[name] for name in ("status", "step", "steps", "unaugmented")}
    # Of a loss a verdict looks only at what it shows.
    return verdict.of(rows, loss=losses.minimax()._replace(shown=tuple(found["shown"])), **so_far)


def record(file: Path, name: str, found: Mapping[str, Any]) -> None:
    """Puts the evidence on one run among that of others in a file, which has a line for each.

    Raises:
      InputError: the file holds something else, or can't be written.
    """
    with write_errors(file, "--record"):
        try:
            others = {**json.loads(file.read_text())} if file.exists() else {}
        except (ValueError, TypeError) as error:
            raise InputError(f"{file} is not what --record writes: choose another file") from error
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted({**others, name: found}.items())]
        write_text(file, "{\n" + ",\n".join(lines) + "\n}\n")


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(prog="python -m experiments.verdicts", description="\n".join((__doc__ or "").splitlines()[2:]))
    names = tuple(cases(1.0))
    add = parser.add_argument
    add(
        "--only",
        type=cli.reader(several(*names)),
        default=names,
        metavar="A,B",
        help=f"which runs: experiments, or of those with a fault {', '.join(MADE)} (default: all)",
    )
    add(
        "--share",
        type=cli.reader(real(0.0, 1.01, above=True)),
        default=1.0,
        metavar="S",
        help="share of the default length of healthy runs; after a twentieth not all samples differ yet (default: 1)",
    )
    add(
        "--jobs",
        type=cli.reader(integer(1)),
        default=1,
        metavar="N",
        help="how many runs train at once (default: 1)",
    )
    add(
        "--runs",
        type=cli.path,
        default=Path("runs") / "verdicts",
        metavar="DIR",
        help="where runs lie, as DIR/NAME (default: runs/verdicts)",
    )
    add(
        "--record",
        type=cli.path,
        metavar="FILE",
        help="a JSON file for the numbers that the verdicts were made of (default: none)",
    )
    return parser


if __name__ == "__main__":
    cli.guarded("verdicts", lambda: main(sys.argv[1:]))
