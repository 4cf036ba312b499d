"""Train an experiment."""

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gan_jax import checkpoint, data
from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.lab import cli, devices, experiment, files, loading, peers, sampling
from gan_jax.lab.cli import Lab
from gan_jax.lab.costs import shown_shape
from gan_jax.lab.experiment import Config, Experiment
from gan_jax.lab.job import Job
from gan_jax.lab.options import integer, spelled
from gan_jax.lab.progress import Progress
from gan_jax.lab.runs import directory, layout, loop, preview, resume, starting, trackers
from gan_jax.lab.runs.directory import RunDir
from gan_jax.lab.runs.starting import Start
from gan_jax.lab.signals import leave_at_once
from gan_jax.typing import Shape

# What is typed of this start, and is no part of the run.
_OF_A_START: dict[str, Any] = {
    "devices": None,
    "distributed": None,
    "dry_run": False,
    "profile": 0,
    "features": None,
    "report": False,
    "tracker": None,
}


def main(lab: Lab, argv: list[str]) -> int:
    """Parses, trains, and returns the exit code: 0 done, 1 diverged or disk full, 128 + signal stopped and saved."""
    name = lab.experiment("run", argv)
    options = parser(lab, name)
    typed = vars(options.parse_args(argv[1:]))
    if "overwrite" in typed and "resume" in typed:
        options.error("--overwrite and --resume exclude each other: start again, or continue")
    if "overwrite" in typed and "out" not in typed:
        options.error("--overwrite replaces the run in --out: type both, or neither for the next free number")
    start = {option: typed.pop(option, default) for option, default in _OF_A_START.items()}
    asked = start["devices"]
    cli.start_jax(devices=devices.cores() if asked == "all" else asked, distributed=start["distributed"])
    before = "stopped before anything was trained"
    first = peers.is_first()
    with contextlib.ExitStack() as stack:
        with leave_at_once(before), Progress(0, what=name, quiet=not first) as bar, bar.doing("loading the data"):
            found = _found(lab, name, typed)
            with peers.together():
                known, config, dataset, begun = _loaded(lab, name, typed, found)
                used = _features(known, config, dataset, start["features"])
                tracker = trackers.load(start["tracker"]) if start["tracker"] is not None and first else None
                accumulate = config.options["accumulate"] or 1
                laid = layout.chosen(asked, config.options["batch_size"], accumulate, fixed=known is not None)
            if laid.note is not None and first:
                print(laid.note)
        if start["dry_run"]:
            return _previewed(known or _planned(config, dataset, typed, begun), dataset, laid)
        path = ""
        with leave_at_once(before), peers.together():
            if first:
                path = str(known.path if known else _made(config, dataset, typed, begun))
                stack.enter_context(files.lock(Path(path)))
        run = known or directory.of(Path(peers.from_first(path)), config, dataset, begun)
        if peers.from_first("finished" if run.finished else ""):
            if first:
                print(f"{run.path} is finished: its last checkpoint is of step {checkpoint.steps(run.checkpoints)[0]}")
            return 0
        if used is not None and first:
            print(f"--track measures features of {used}")
        resume = ["--resume", run.path, *(["--devices", asked] if asked is not None else [])]
        resume += [] if start["features"] is None else ["--features", start["features"]]
        resume += [] if start["tracker"] is None else ["--tracker", start["tracker"]]
        again = lab.command("run", name, *resume)
        if start["distributed"] is not None:
            again += " --distributed ... (as before, in every process)"
        command = lab.command("run", *argv)
        features = loop.Features(start["features"], used)
        page = _page(lab, run) if start["report"] and first else None
        return loop.train(
            run,
            dataset,
            laid,
            command,
            lab=lab,
            resume=again,
            profile=start["profile"],
            features=features,
            page=page,
            tracker=tracker,
        )


def _previewed(run: RunDir, dataset: Dataset, laid: layout.Layout) -> int:
    """Prints what the run would be."""
    before = "stopped: nothing was trained"
    with leave_at_once(before), Progress(0, what="dry run", quiet=not peers.is_first()) as bar, bar.doing("compiling"):
        found = preview.lines(run, dataset, laid)
    if peers.is_first():
        print("\n".join(found))
    return 0


def _page(lab: Lab, run: RunDir) -> Callable[[bool], None]:
    """Writes RUN/report.html, and says so; it raises OSError where that can't be."""
    from gan_jax.lab.report import data, page, runs  # Not earlier: only who asks for a report waits for it.

    out, networks = run.path / "report.html", runs.networks(run)
    print(f"{out} is written with every grid of samples: open it in a browser, it follows the run")
    return lambda trains_on: files.write_text(
        out, page.page(data.of_runs(lab, [run], lambda _: networks, live=trains_on))
    )


def _planned(config: Config, dataset: Dataset, typed: dict[str, Any], start: Start | None) -> RunDir:
    """A new run where it would be made."""
    with peers.together():
        path = directory.planned(config, typed.get("out"), overwrite=typed.get("overwrite", False))
    return directory.of(path, config, dataset, start)


def _found(lab: Lab, name: str, typed: dict[str, Any]) -> Path | None:
    """The directory of the run to continue, in every process that which the first one finds; None for a fresh run.

    Raises:
      InputError: the run in --out was started with other options.
    """
    if "resume" not in typed:
        return None
    path: Path | None = typed["resume"]
    if path is not None:
        return path
    text = ""
    with peers.together():
        config, out, start = _config(lab, name, typed), typed.get("out"), typed.get("from")
        if peers.is_first() and (run := resume.find_resumable(lab.table, config, out, start)):
            text = str(run.path)
    return Path(text) if (text := peers.from_first(text)) else None


def _loaded(
    lab: Lab, name: str, typed: dict[str, Any], found: Path | None
) -> tuple[RunDir | None, Config, Dataset, Start | None]:
    """The run that is continued, or None; what trains; its data; whose weights it starts from. Nothing is written.

    Raises:
      InputError: the options can't be combined, no such run of this experiment can be continued with what was typed,
        or its data has changed.
    """
    if found is None:
        return None, *_fresh(lab, name, typed)
    run, dataset = _resumed(lab, name, typed, found)
    return run, run.job.config, dataset, run.start


def _fresh(lab: Lab, name: str, typed: dict[str, Any]) -> tuple[Config, Dataset, Start | None]:
    """What a new run is, checked before its directory is made, its data, and whose weights it starts from."""
    dataset = data.load(typed.get("data", lab.table[name].defaults["data"]))
    config = _config(lab, name, typed, dataset.shape)
    for note in dataset.notes if peers.is_first() else ():
        print(f"{dataset.name}: {note}")
    # Built once before the directory is made: what does not fit the data costs nothing that is on disk.
    job = Job.on(config, dataset)
    gan = job.gan()
    job.abstract_state()
    job.check_batch(gan)
    if gan.conditioning.kind == "data":
        sampling.held_out(job, gan, job.keys.y, 1)
    return config, dataset, None if "from" not in typed else _started(lab, job, typed["from"])


def _started(lab: Lab, job: Job, typed: Path) -> Start:
    """The start of a run from the weights of another; says what of them fits."""
    found = loading.load(typed, table=lab.table)
    weights = {name: np.asarray(leaf) for name, leaf in starting.weights_of(found.state).items()}
    start = starting.of(starting.spelled(typed), int(found.state.step), weights, job.abstract_state())
    if peers.is_first():
        print(starting.described(start, weights))
    return start


def _features(known: RunDir | None, config: Config, dataset: Dataset, asked: str | None) -> str | None:
    """Which features --track measures; None where it measures none.

    Raises:
      InputError: --classifier, --features or a metric of --track does not fit, or the run was tracked with others.
    """
    if config.options["track"] is None and asked is not None:
        raise InputError("--features says what --track measures with: type --track too, or --features with evaluate")
    if config.options["track"] is None and (known is not None or config.options["classifier"] is None):
        return None
    from gan_jax.lab.runs import tracking

    job = known.job if known else Job.on(config, dataset)
    return tracking.check(job, asked, known, dataset)


def _made(config: Config, dataset: Dataset, typed: dict[str, Any], start: Start | None) -> Path:
    """The directory of a new run."""
    return directory.create(config, dataset, typed.get("out"), overwrite=typed.get("overwrite", False), start=start)


def _resumed(lab: Lab, name: str, typed: dict[str, Any], path: Path) -> tuple[RunDir, Dataset]:
    """The run to continue, to the steps typed, and its data.

    Raises:
      InputError: no such run of this experiment, it was started with other options, or the data has changed.
    """
    run = directory.load(path, lab.table)
    if typed["resume"] is None:
        assert run.job.data is not None
        record = run.job.data.typed_here(run.job.options["data"])
        until = _config(lab, name, typed, run.job.shape).options["steps"]
        run = dataclasses.replace(run, job=dataclasses.replace(run.job, data=record), until=until)
        resume.check(run, killed=True, again=_again(lab, run))
    else:
        if (of := run.job.config.name) != name:
            raise InputError(f"{path} is a run of {of}: continue it with {lab.command('run', of, '--resume', path)}")
        others = ", ".join(f"--{option.replace('_', '-')}" for option in typed if option not in ("resume", "steps"))
        if others:
            changes = {option: value for option, value in typed.items() if option in run.job.options}
            words = run.job.config.replace(**changes).typed
            words += [
                word for option in ("from", "out") if option in typed for word in (f"--{option}", str(typed[option]))
            ]
            raise InputError(
                f"a resumed run keeps its options, only --steps may be given with --resume, not {others}: start a new "
                f"run with: {lab.command('run', name, *words)}"
            )
        run = dataclasses.replace(run, until=typed.get("steps", run.until))
        resume.check(run, killed=False, again=_again(lab, run))
    dataset = data.load(run.job.spec)
    run.job.check_data(dataset)
    if not run.finished and peers.is_first():
        for notice in resume.notices(run):
            print(f"run: {notice}", file=sys.stderr)
    return run, dataset


def _again(lab: Lab, run: RunDir) -> str:
    start = [] if run.start is None else ["--from", run.start.path]
    return lab.command("run", run.job.config.name, *run.job.config.typed, *start, "--out", run.path, "--overwrite")


def _config(lab: Lab, name: str, typed: dict[str, Any], shape: Shape | None = None) -> Config:
    options = {option: value for option, value in typed.items() if option in lab.table[name].options}
    return experiment.config(lab.table, name, options, paper="preset" in typed, shape=shape)


def parser(lab: Lab, name: str) -> argparse.ArgumentParser:
    """The options of one experiment. What was not typed is not in the result: the defaults are the experiment's."""
    chosen = lab.table[name]
    options = cli.Parser(
        prog=lab.command("run", name),
        description="\n".join(filter(None, [chosen.summary, chosen.citation])),
        epilog=f"{_SCHEDULES}\n\n{_settings(chosen)}{_EXIT_CODES}",
        argument_default=argparse.SUPPRESS,
    )
    cli.add_options(options, chosen.options, chosen)
    if chosen.paper:
        options.add_argument("--preset", choices=["paper"], help="the paper's own settings and length (see below)")
    options.add_argument(
        "--out", type=cli.path, metavar="DIR", help="directory of this run (default: the next free runs/NAME/NNN)"
    )
    options.add_argument("--overwrite", action="store_true", help="replace the run in --out")
    options.add_argument(
        "--from",
        type=cli.path,
        metavar="RUN",
        help="start from the weights of a run, a sweep's best member, an export or a model of the package, as far as "
        "they fit: the averaged generator where there is one, the discriminator, no optimizers; step 0 is saved",
    )
    options.add_argument(
        "--resume",
        type=lambda text: None if text == "auto" else cli.path(text),
        metavar="RUN|auto",
        help="continue the run in this directory, to --steps, its other options kept; auto: continue the run in "
        "--out, or else the newest unfinished one in runs/NAME, if it was started with the options typed; where "
        "there is none start a fresh one, and where the run in --out is finished do nothing, so that one command can "
        "be typed until it exits with 0. Schedules span the steps that the run was started with",
    )
    options.add_argument(
        "--devices",
        type=cli.reader(lambda text: text if text == "all" else integer(1, 4096)(text)),
        metavar="all|N",
        help="devices that divide each minibatch between them, of every process (default: all of an accelerator's; one "
        "of a CPU, which uses all cores)",
    )
    cli.add_features(options)
    cli.add_distributed(options)
    options.add_argument(
        "--dry-run", action="store_true", help="print networks, memory, arithmetic and files; train and write nothing"
    )
    options.add_argument(
        "--report", action="store_true", help="keep RUN/report.html up to date, to watch in a browser (see report)"
    )
    options.add_argument(
        "--tracker",
        type=cli.reader(trackers.form),
        metavar="X",
        help="log there too, typed again when the run is continued: trackio, wandb or mlflow, FILE.py:FUNCTION or "
        "module:FUNCTION, called as FUNCTION(step, record)",
    )
    options.add_argument(
        "--profile",
        type=cli.reader(integer(1, 1000)),
        metavar="N",
        help="trace N steps into RUN/profile, for TensorBoard and Perfetto",
    )
    return options


_SCHEDULES = """Numbers that scale (learning rates, decays, weights, bounds) may be schedules over
the run: linear:A:B, cosine:A:B, either over its first part alone with :SHARE, or
steps:A,B,C for equal parts."""

_EXIT_CODES = """exit codes: 0 done, 1 diverged, disk full, or another process has ended, 2 input that
can't be used, 130 and 143 stopped by Ctrl-C and SIGTERM (129 by a hang-up) and
saved: the same command with --resume auto continues"""


def _settings(chosen: Experiment) -> str:
    """What other data, and --preset paper, change of the defaults."""

    def listed(settings: Mapping[str, Any]) -> str:
        return ", ".join(f"{key.replace('_', '-')} {spelled(value)}" for key, value in settings.items())

    def by_shape(settings: Mapping[Shape, Mapping[str, Any]]) -> list[str]:
        return [f"on {shown_shape(shape)}: {listed(of)}" for shape, of in settings.items()]

    parts = []
    if chosen.defaults_at:
        parts += ["\n".join(["other defaults for images of some sizes", *by_shape(chosen.defaults_at)])]
    if chosen.paper:
        lacks = [f"of the paper's settings it lacks {chosen.lacks}"] if chosen.lacks else []
        parts += ["\n".join([f"--preset paper: {listed(chosen.paper)}", *by_shape(chosen.paper_at), *lacks])]
    return "".join(f"{part}\n\n" for part in parts)
