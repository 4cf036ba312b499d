"""The training loop of the commands: chunks of compiled steps, and what is logged, drawn and saved between them."""

import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorboardX import summary
from tqdm import tqdm

from experiments import chunks, logs, sampling
from experiments.configs import EXPERIMENTS
from experiments.rundir import Run
from experiments.signals import stop_signals
from gan_jax import checkpoint, images
from gan_jax.data import Dataset
from gan_jax.gan import GAN

_SCATTER_POINTS = 2500


def train(run: Run, dataset: Dataset) -> int:
    """Trains from the newest checkpoint, or from the start, until the last step, a signal, or the last finite state.

    Returns:
      The exit code: 0 done, 1 diverged or the disk is full, 128 + signal stopped and saved.

    Raises:
      InputError: none of the checkpoints is whole, or they can't be read by this version.
    """
    try:
        return _train(run, dataset)
    except BrokenPipeError:
        raise
    except OSError as error:
        steps = checkpoint.steps(run.checkpoints)
        kept = f"the checkpoint of step {steps[0]} is whole" if steps else "nothing was saved yet"
        print(
            f"{run.path} can't be written any more ({error.strerror or error}); {kept}: make room, then go on with: "
            f"{_again(run)}",
            file=sys.stderr,
        )
        return 1


def _train(run: Run, dataset: Dataset) -> int:
    options, name = run.config.run, run.config.experiment
    gan = run.gan()
    resumed = bool(checkpoint.steps(run.checkpoints))
    state = run.restore(gan, quarantine=True) if resumed else run.fresh_state(gan)
    step, last = int(state.step), options["steps"]
    window = logs.Window(**checkpoint.notes(run.checkpoints, step)["window"]) if resumed else logs.Window()
    pace, shown, broken = 1, "", None
    advance = chunks.advancer(run, gan, dataset)
    tracked: dict[str, float] = {}
    if options["track"] is not None:
        from experiments import tracking  # Not earlier: it loads what only a run that is tracked needs.

        track = tracking.tracker(run, gan)
    generate = sampling.generator_of(gan)
    z, y, originals = _fixed_inputs(run, gan)
    samples = run.path / "samples"
    samples.mkdir(exist_ok=True)
    bar = tqdm(total=last, initial=step, desc=name, unit="step", disable=None, dynamic_ncols=True)
    with (
        stop_signals() as received,
        logs.board(run.path / "tensorboard", step) as board,
        logs.appending(run.path / "metrics.jsonl") as log,
        bar,
    ):

        def report() -> str:
            record = logs.means(window) | tracked
            logs.write(log, step, record)
            for key, value in record.items():
                board(summary.scalar(key, value), step)
            bar.set_postfix_str(shown := _shown(name, record), refresh=False)
            return shown

        def draw() -> None:
            picture = _picture(generate(state, z, y), originals, dataset, options["invert"])
            images.save_png(samples / f"{step:07d}.png", picture)
            board(summary.image("generated", picture, dataformats="HWC"), step)
            if bar.disable:
                print(f"step {step}/{last}: {shown}", flush=True)

        def save() -> None:
            checkpoint.save(run.checkpoints, step, state, notes={"window": window._asdict()})

        if not resumed and dataset.is_image:
            board(summary.image("real", sampling.picture(dataset.x[:100]), dataformats="HWC"), 0)
        while step < last and not received:
            started = time.perf_counter()
            n = min(pace, _until_next(step, options))
            state, metrics, broken = chunks.up_to_not_finite(advance, state, n)
            step = int(state.step)
            seconds = time.perf_counter() - started
            pace = chunks.next_pace(pace, n, seconds)
            window = logs.added(window, metrics, seconds)
            bar.update(step - bar.n)
            tracked = {}
            if broken is not None:
                break
            due = options["track"] is not None and (step % options["every"] == 0 or step == last)
            if due:
                tracked = track(state)
            if step % options["log_every"] == 0 or step == last or due:
                shown = report()
            if step % options["log_every"] == 0:
                window = logs.Window()
            if step % options["sample_every"] == 0 or step == last:
                draw()
            # Last, so that nothing before it is missing where a killed run goes on from here.
            if step % options["save_every"] == 0 or step == last:
                save()
        if step < last:
            if window.steps > 0:
                report()
            save()
    if broken is not None:
        print(
            f"{broken} stopped being finite at step {step + 1}; the state of step {step}, the last finite one, is "
            f"saved in {run.checkpoints / str(step)}. A lower learning rate usually helps.",
            file=sys.stderr,
        )
        return 1
    if received:
        print(f"stopped and saved at step {step}; go on with: {_again(run)}")
        return 128 + received[0]
    print(
        f"step {step}: see {samples / f'{step:07d}.png'}; "
        f"next: python -m experiments.sample {run.path} --out samples.png"
    )
    return 0


def _again(run: Run) -> str:
    return f"python -m experiments.run {run.config.experiment} --resume {run.path}"


def _until_next(step: int, options: Mapping[str, Any]) -> int:
    """Steps to the next event."""
    periods = [options["log_every"], options["sample_every"], options["save_every"]]
    if options["track"] is not None:
        periods.append(options["every"])
    ends = [options["steps"], *(step - step % period + period for period in periods)]
    if step < options.get("warmup_steps", 0):
        ends.append(options["warmup_steps"])
    return min(ends) - step


def _fixed_inputs(run: Run, gan: GAN) -> tuple[Any, Any, np.ndarray | None]:
    """Latents and conditions of the sample grids; and, for conditions made from data, the examples they are of."""
    z_rng, y_rng = run.fixed_keys()
    kind = sampling.condition_kind(run, gan)
    n = sampling.COLUMNS**2 if len(run.shape) == 3 else _SCATTER_POINTS
    if kind == "label":
        labels = sampling.class_rows(run.num_classes)
        if len(run.shape) == 1:
            labels = labels.repeat(_SCATTER_POINTS // len(labels))
        return gan.prior(z_rng, len(labels)), labels, None
    if kind == "data":
        originals, y = sampling.held_out(run, gan, y_rng, n // 2)
        return gan.prior(z_rng, len(y)), y, originals
    return gan.prior(z_rng, n), None, None


def _picture(samples: np.ndarray, originals: np.ndarray | None, dataset: Dataset, invert: bool) -> np.ndarray:
    if originals is not None:
        samples = np.stack([originals, samples], axis=1).reshape(-1, *samples.shape[1:])
    return sampling.picture(samples, None if dataset.is_image else dataset.x[:_SCATTER_POINTS], invert=invert)


def _shown(name: str, record: Mapping[str, float]) -> str:
    names = {"d_loss": "D", "g_loss": "G"}
    if EXPERIMENTS[name].recipe.startswith("wgan"):
        names |= {"estimate": "W"}
    else:
        names |= {"d_real": "D(x)", "d_fake": "D(G(z))"}
    return ", ".join(f"{label} {record[key]:.3g}" for key, label in (names | {"steps_per_s": "steps/s"}).items())
