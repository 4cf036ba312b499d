"""Make the guide's pictures: python -m experiments.pictures [--only NAME,NAME] [--runs DIR] [--out docs].

Of every experiment the last sample grid of its run at today's defaults, sevens of `cdcgan`, robots, the two pictures of
a sweep, and one that moves: `wgan` while it learns. Each is made by the commands that the README and the guide show, in
processes of their own, so that it has the bits that a reader gets. What lies in --runs already is used, and continued
where it is not finished.
"""

import argparse
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from gan_jax.errors import InputError
from gan_jax.files import atomic
from gan_jax.lab import EXPERIMENTS, animation, cli, files
from gan_jax.lab.experiment import Config, config
from gan_jax.lab.job import Job
from gan_jax.lab.options import several
from gan_jax.lab.runs import directory
from gan_jax.lab.runs.directory import RunDir

SWEEP = (
    "wgan --width 128 --d-width 256 --steps 2000 --lr cosine:5e-4:0,cosine:1e-3:0,cosine:2e-3:0 "
    "--clip 0.01,0.02,0.04 --seeds 2"
)
"""What the guide's sweep of pictures is typed with."""
SEVENS = "--label 7 --n 16"
"""What the guide's sample of `cdcgan` is typed with."""
MOVIE = "wgan --sample-every 100"
"""What the run of the picture that moves is typed with."""
ROBOTS = {
    "robots_dcgan": "dcgan --data robots:32",
    "robots_sngan": "sngan --data robots:32/color --conditional yes",
    "robots_64": "dcgan --data robots:64",
}
"""What the guide's runs on robots are typed with, by picture."""
FEWER = {"robots_64": "--n 20"}
"""What samples are typed with for a picture that shows fewer than a run's grid, whose file is large."""
_FRAMES, _MILLISECONDS, _LAST_MILLISECONDS = 48, 90, 3000


class CommandError(Exception):
    """A command ended with this exit code; it has said why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def main(argv: list[str]) -> int:
    """Parses, and makes one picture after the other; returns 0, or the exit code of a command that failed or stopped.

    Raises:
      InputError: a run in --runs is of other options than today's defaults, or something can't be written.
    """
    options = _parser().parse_args(argv)
    runs, out, names = options.runs, options.out, options.only
    for name in EXPERIMENTS:
        if name in names or (name == "cdcgan" and "sevens" in names):
            check(runs / name, config(EXPERIMENTS, name, {}))
    with files.write_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    try:
        for name in names:
            if name == "sweep":
                _sweep(runs / name, out)
            elif name == "sevens":
                train("cdcgan", runs)
                call("sample", runs / "cdcgan", *shlex.split(SEVENS), "--out", out / "sevens.png")
            elif name in ROBOTS:
                call("run", *shlex.split(ROBOTS[name]), "--out", runs / name, "--resume", "auto")
                if name in FEWER:
                    call("sample", runs / name, *shlex.split(FEWER[name]), "--out", out / f"{name}.png")
                else:
                    steps = directory.load(runs / name, EXPERIMENTS).until
                    _copy(runs / name / "samples" / f"{steps:07d}.png", out / f"{name}.png")
            elif name == "movie":
                call("run", *shlex.split(MOVIE), "--out", runs / name, "--resume", "auto")
                _animate(runs / name / "samples", out / "training.webp")
            else:
                train(name, runs)
                steps = config(EXPERIMENTS, name, {}).options["steps"]
                _copy(runs / name / "samples" / f"{steps:07d}.png", out / f"{name}.png")
    except CommandError as error:
        return error.code
    return 0


def check(path: Path, defaults: Config) -> None:
    """Raises InputError where the directory holds anything else than a run at the defaults, finished or not."""
    if files.is_free(path):
        return
    run = directory.load(path, EXPERIMENTS)
    today, found = (RunDir(path, Job(own, run.job.shape, 0), 0).identity for own in (defaults, run.job.config))
    others = [name for name in today if today[name] != found.get(name)]
    if others:
        raise InputError(
            f"{path} was trained with other options than today's defaults ({', '.join(others)}): remove it, or choose "
            "a different --runs"
        )


def train(name: str, runs: Path) -> None:
    """Trains an experiment at its defaults, or continues that, or does nothing where it is finished."""
    path = runs / name
    if files.is_free(path) or not directory.load(path, EXPERIMENTS).finished:
        call("run", name, "--out", path, "--resume", "auto")


def _sweep(path: Path, out: Path) -> None:
    call("sweep", *shlex.split(SWEEP), "--out", path, "--resume", "auto")
    for name in ("samples", "scores"):
        _copy(path / f"{name}.png", out / f"sweep_{name}.png")


def _animate(grids: Path, to: Path) -> None:
    """Writes the grids of a run as one picture that moves: closely spaced at first, where samples change most."""
    found = sorted(grids.glob("*.png"))
    if not found:
        raise InputError(f"{grids} has no sample grids: remove what lies there, or choose a different --runs")
    chosen = sorted({round((len(found) - 1) * (k / (_FRAMES - 1)) ** 2) for k in range(_FRAMES)})
    durations = [_MILLISECONDS] * (len(chosen) - 1) + [_LAST_MILLISECONDS]
    with files.write_errors(to):
        animation.write_moving(to, [animation.read(found[k]) for k in chosen], durations, quality=45)
    print(to)


def _copy(made: Path, to: Path) -> None:
    if not made.exists():
        raise InputError(f"{made} is missing: remove what lies there, or choose a different --runs")
    with files.write_errors(to), atomic(to) as partial:
        shutil.copyfile(made, partial)
    print(to)


def call(command: str, *arguments: object) -> None:
    """Runs `python -m experiments.COMMAND ARGUMENTS`; signals go to it. Raises CommandError unless it exits with 0."""
    typed = [sys.executable, "-m", f"experiments.{command}", *map(str, arguments)]
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        if process is None:
            early.append(number)
        else:
            process.send_signal(number)

    stopping = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, hand_on) for number in stopping}
    try:
        # In a session of its own, so that Ctrl-C reaches it once and not twice.
        process = subprocess.Popen(typed, start_new_session=True)
        for number in early:
            process.send_signal(number)
        code = process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if code != 0:
        raise CommandError(code if code > 0 else 128 - code)


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog="python -m experiments.pictures",
        description="Makes the pictures of the guide: trains every experiment at its defaults and keeps its last\n"
        "sample grid. An interrupted command, typed again, continues.",
    )
    names = (*EXPERIMENTS, "sevens", *ROBOTS, "sweep", "movie")
    parser.add_argument(
        "--only",
        type=cli.reader(several(*names)),
        default=names,
        metavar="A,B",
        help="which: experiments, sevens (of cdcgan), "
        f"{', '.join(ROBOTS)}, sweep, movie (of wgan) (default: all {len(names)})",
    )
    parser.add_argument(
        "--runs",
        type=cli.path,
        default=Path("runs") / "pictures",
        metavar="DIR",
        help="where runs lie, as DIR/NAME; those that are there are used (default: runs/pictures)",
    )
    parser.add_argument(
        "--out", type=cli.path, default=Path("docs"), metavar="DIR", help="directory of the pictures (default: docs/)"
    )
    return parser


if __name__ == "__main__":
    cli.guarded("pictures", lambda: main(sys.argv[1:]))
