"""The training loop of the commands: chunks of compiled steps, and what is logged, drawn and saved between them.

Of several processes all take the same steps; the first logs, draws and measures, and all save together.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax import checkpoint, images
from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState
from gan_jax.lab import devices, loading, peers, sampling, tagging
from gan_jax.lab.cli import Lab
from gan_jax.lab.job import Job
from gan_jax.lab.progress import Progress
from gan_jax.lab.report import verdict
from gan_jax.lab.runs import chunks, logs, starting
from gan_jax.lab.runs import diversity as diversities
from gan_jax.lab.runs import journal as journaling
from gan_jax.lab.runs.directory import RunDir
from gan_jax.lab.runs.diversity import Diversity, Nearest
from gan_jax.lab.runs.layout import Layout, placed
from gan_jax.lab.runs.profile import Profile
from gan_jax.lab.runs.resume import spent
from gan_jax.lab.runs.trackers import Tracker
from gan_jax.lab.signals import stop_signals

_LABELS = {
    "d_loss": "D",
    "g_loss": "G",
    "estimate": "W",
    "d_real": "D(x)",
    "d_fake": "D(G(z))",
}

_COMPARED = 500
"""Samples whose distances are taken: of pictures all, of points these."""


class Features(NamedTuple):
    """The features that --track measures.

    Attributes:
      asked: --features as typed, or None.
      used: their name and fingerprint; None where no metric is made of features.
    """

    asked: str | None
    used: str | None


def train(
    run: RunDir,
    dataset: Dataset,
    layout: Layout,
    command: str,
    *,
    lab: Lab,
    resume: str,
    profile: int = 0,
    features: Features | None = None,
    page: Callable[[bool], None] | None = None,
    tracker: Tracker | None = None,
) -> int:
    """Trains from the newest checkpoint, or from the start, until the last step, a signal, or the last finite state.

    Args:
      run: the run, whose lock is held.
      dataset: its data.
      layout: the devices that train it.
      command: as it was typed, for the journal.
      lab: how commands are typed.
      resume: how it is continued.
      profile: steps to trace.
      features: what --track measures; None for the default.
      page: writes the run's report again, and is told whether it trains on; None for no report.
      tracker: where the run is logged too; None for nowhere else.

    Returns:
      The exit code: 0 done, 1 diverged or the disk is full, 128 + signal stopped and saved.

    Raises:
      InputError: none of the checkpoints is whole, or they can't be read by this version.
    """
    try:
        features = features or Features(None, None)
        return _train(run, dataset, layout, command, lab, resume, profile, features, page, tracker)
    except OSError as error:
        run.check_there()
        steps = checkpoint.steps(run.checkpoints)
        kept = f"the checkpoint of step {steps[0]} is whole" if steps else "nothing was saved yet"
        print(
            f"{run.path} can't be written any more ({error.strerror or error}); {kept}: free some space, then continue "
            f"with: {resume}",
            file=sys.stderr,
        )
        return peers.leave(1)


def _train(
    run: RunDir,
    dataset: Dataset,
    layout: Layout,
    command: str,
    lab: Lab,
    resume: str,
    profile: int,
    features: Features,
    page: Callable[[bool], None] | None,
    tracker: Tracker | None,
) -> int:
    job, options, last = run.job, run.job.options, run.until
    gan, first = job.gan(), peers.is_first()
    pace, shown, broken, stopped = 1, "", None, 0
    measured: dict[str, float] = {}
    samples = run.path / "samples"
    if first:
        samples.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        # Before all else, so that it ends last: by then everything is saved, and Ctrl-C ends the wait for a server.
        tracked = stack.enter_context(tracker(run)) if tracker is not None and first else _unsaid
        received = stack.enter_context(stop_signals("stopping and saving after this step"))
        resumed = bool(checkpoint.steps(run.checkpoints))
        step = max(checkpoint.steps(run.checkpoints), default=0)
        bar = stack.enter_context(Progress(last, what=job.config.name, initial=step, quiet=not first))
        with bar.doing("compiling"):
            if resumed:
                with peers.together():
                    state = run.restore(quarantine=True, sharding=layout.whole)
            else:
                state = placed(_first_state(run, lab), layout.whole)
            advance = stack.enter_context(contextlib.closing(chunks.Advancer(job, dataset, layout)))
            advance.compile(state)
        bar.advance(int(state.step) - step)
        step = int(state.step)
        if first and resumed and (notice := spent(run)) is not None:
            print(f"run: {notice}", file=sys.stderr)
        window = logs.Window(**checkpoint.notes(run.checkpoints, step)["window"]) if resumed else logs.Window()
        picture = _grid(job, gan, dataset)
        if options["track"] is not None:
            from gan_jax.lab.runs import tracking  # Not earlier: it loads what only a run that is tracked needs.

            track = tracking.tracker(run, gan, features.asked)
        own = stack.enter_context(logs.logging(run.path, step)) if first else _unsaid
        journal = stack.enter_context(
            journaling.keeping(
                run.path if first else None,
                job,
                dataset,
                command,
                step,
                last,
                used=layout.devices,
                features=features.used,
            )
        )
        trace = stack.enter_context(Profile(run.path / "profile", profile, last - step, bar.say if first else None))
        record: dict[str, float] = {}
        unnoted = 0.0

        def log(step: int, record: Mapping[str, logs.Value]) -> None:
            own(step, record)
            tracked(step, record)

        def report() -> None:
            nonlocal record
            so_far = {"images_seen": journaling.images_seen(job, step), "seconds": round(journal.seconds + unnoted, 3)}
            record = logs.means(window) | measured | so_far
            log(step, record)

        def show(pixels: np.ndarray) -> None:
            images.save_png(samples / f"{step:07d}.png", pixels)
            log(step, {"generated": pixels})
            if page is not None:
                page(True)
            if not bar.on_terminal:
                rate = f": {shown}, {record['steps_per_s']:.3g} steps/s" if record else ""
                bar.say(f"step {step}/{last}{rate}")

        def save() -> None:
            nonlocal unnoted
            run.save(state, window._asdict())
            journal.note(step, unnoted, record)
            unnoted = 0.0

        def signal() -> int:
            """The number of a signal that any of the processes has received; 0 for none."""
            return int(devices.max_over_processes(float(received[0]) if received else 0.0)[0])

        if run.start is not None and not resumed:
            save()  # From here on the weights that it started from are not needed any more.
        if first and not resumed and dataset.is_image:
            log(0, {"real": sampling.picture(dataset.x[:100])})
        while step < last and not (stopped := signal()):
            if not advance.ready(step):
                with bar.doing("compiling"):
                    advance.compile(state)
            started = time.perf_counter()
            n = trace.steps(step, min(pace, _until_next(step, last, options)))
            try:
                state, metrics, broken = chunks.up_to_not_finite(advance, state, n)
            except InputError as error:  # The data was changed, or can't be read any more.
                save()
                raise type(error)(f"{error}; step {step} is saved, then continue with: {resume}") from error
            taken, step = int(state.step) - step, int(state.step)
            trace.taken(step, taken)
            (seconds,) = devices.max_over_processes(time.perf_counter() - started)
            unnoted += seconds
            pace = chunks.next_pace(pace, n, seconds)
            window = logs.added(window, metrics, seconds)
            measured = {}
            if broken is not None:
                break
            if options["track"] is not None and (step % options["track_every"] == 0 or step == last):
                measured = track(state)
            drawing = step % options["sample_every"] == 0 or step == last
            if drawing and first:
                pixels, found = picture(devices.local(state))
                measured |= found
            if step % options["log_every"] == 0 or drawing or measured:
                report()
                shown = _shown(gan, record)
            bar.advance(taken, shown)
            if step % options["log_every"] == 0:
                window = logs.Window()
            if drawing and first:
                show(pixels)
            # Last, so that nothing before it is missing where a killed run continues from here.
            if step % options["save_every"] == 0 or step == last:
                save()
        if step < last:
            if window.steps > 0:
                report()
            save()
        journal.status = "diverged" if broken is not None else "stopped" if step < last else "finished"
    if first:
        if page is not None:
            page(False)
        _say_how_it_ended(lab, run, step, broken, resume)
    if broken is not None:
        return 1
    return 128 + stopped if step < last else 0


def _first_state(run: RunDir, lab: Lab) -> GANState:
    """The state before the first step, with the weights that the run starts from.

    Raises:
      InputError: these are gone, or other ones than when the run was made.
    """
    fresh, start = run.job.fresh_state(), run.start
    if start is None:
        return fresh
    weights = loading.weights(start.path, start.step, lab.table)
    if starting.fingerprint(weights) != start.fingerprint:
        raise InputError(
            f"{start.path} holds other weights than when {run.path} was made, which has not saved any yet: start it "
            "again with --overwrite"
        )
    return starting.with_weights(fresh, weights)


def _unsaid(step: int, record: Mapping[str, logs.Value]) -> None:
    """The log of a process that leaves it to another, or of a run that has no tracker."""


def _say_how_it_ended(lab: Lab, run: RunDir, step: int, broken: str | None, resume: str) -> None:
    if broken is not None:
        print(
            f"{broken} stopped being finite at step {step + 1}; the state of step {step}, the last finite one, is "
            f"saved in {run.checkpoints / str(step)}. A lower learning rate usually helps.",
            file=sys.stderr,
        )
    elif step < run.until:
        print(f"stopped and saved at step {step}; continue with: {resume}")
    else:
        print(
            f"step {step}: see {run.path / 'samples' / f'{step:07d}.png'}; "
            f"next: {lab.command('sample', run.path, '--out', 'samples.png')}"
        )
        try:
            rows = logs.read(run.path / "metrics.jsonl")
        except ValueError:
            return  # It was edited, which was said as the run went on.
        said = verdict.of(
            rows,
            status="finished",
            step=step,
            steps=run.until,
            loss=run.job.gan().loss,
            unaugmented=run.job.unaugmented,
        )
        if said.kind != "early":
            print(f"{said.title}. {said.text}")


def _until_next(step: int, last: int, options: Mapping[str, Any]) -> int:
    """Steps to the next event."""
    periods = [options["log_every"], options["sample_every"], options["save_every"]]
    if options["track"] is not None:
        periods.append(options["track_every"])
    ends = [last, *(step - step % period + period for period in periods)]
    if step < options.get("warmup_steps", 0):
        ends.append(options["warmup_steps"])
    return min(ends) - step


def _grid(job: Job, gan: GAN, dataset: Dataset) -> Callable[[Any], tuple[np.ndarray, dict[str, float]]]:
    """`state -> uint8 RGB, distances that tell of a collapse`, of samples from the same latents and conditions always.

    A GAN whose conditions are made from data has its samples after the examples that these are of; where the conditions
    are pictures, given, made and true stand side by side. One with codes has a column for each value of the first. One
    that draws tags has pictures with the tags that they are given.
    """
    if job.tags:
        return _tags(job, gan)
    kind, keys, generate = gan.conditioning.kind, job.keys, sampling.generator_of(gan)
    n = sampling.COLUMNS**2 if dataset.is_image else sampling.POINTS
    view, columns = gan.conditioning.view, sampling.COLUMNS
    originals: np.ndarray | None = None
    labels: np.ndarray | None = None
    y: Any = None
    if kind == "labels":
        y = sampling.class_rows(job.num_classes)
        if not dataset.is_image:
            y = y.repeat(sampling.POINTS // len(y))
        labels = np.asarray(y)
    elif kind == "data":
        if view is not None:
            n, columns = 2 * sampling.COLUMNS * sampling.TRIPLES, 3 * sampling.TRIPLES
        originals, y = sampling.held_out(job, gan, keys.y, n // 2)
    if sampling.codes_of(gan) and dataset.is_image:
        z, y, columns = sampling.walk(job, gan, None, keys.z, sampling.COLUMNS)
    else:
        y = gan.conditioning.draw(keys.y, n) if kind == "codes" else y
        z = gan.prior(keys.z, n if y is None else len(jax.tree.leaves(y)[0]))
    reference = sampling.points_of(dataset)
    # Samples of given conditions can differ as much as the examples that these were made of.
    if originals is not None:
        diversity, nearest = Diversity(originals), Nearest(originals)
    else:
        diversity, nearest = diversities.of_data(dataset, labels)
    gap = diversities.gap_of_data(dataset)
    few = slice(None, None, max(1, len(z) // _COMPARED))

    def picture(state: Any) -> tuple[np.ndarray, dict[str, float]]:
        samples = generate(state, z, y)
        compared = samples[few], None if labels is None else labels[few]
        found = {"diversity": diversity(*compared)}
        if gap is None:
            found["nearest"] = nearest(*compared)
        else:
            found["gap"] = gap(samples[few])
        if view is not None and originals is not None:
            samples = sampling.side_by_side(sampling.given_pictures(view, y, job.shape[-1]), samples, originals)
        elif originals is not None:
            samples = sampling.side_by_side(originals, samples)
        return sampling.picture(samples, reference, columns=columns, invert=job.options["invert"]), {
            name: number for name, number in found.items() if number is not None
        }

    return picture


def _tags(job: Job, gan: GAN) -> Callable[[Any], tuple[np.ndarray, dict[str, float]]]:
    """As `_grid`, of a GAN that draws tags; these have no distances."""
    y, draw = sampling.held_out(job, gan, job.keys.y, tagging.SHOWN)[1], tagging.drawer(gan)

    def picture(state: Any) -> tuple[np.ndarray, dict[str, float]]:
        return tagging.picture(job.tags, y, draw(state, y, job.keys.z), invert=job.options["invert"]), {}

    return picture


def _shown(gan: GAN, record: Mapping[str, float]) -> str:
    names = ("d_loss", "g_loss", *gan.loss.shown)
    return ", ".join(f"{_LABELS.get(name, name)} {record[name]:.3g}" for name in names)
