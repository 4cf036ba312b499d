"""The training loop of the commands: chunks of compiled steps, and what is logged, drawn and saved between them."""

import functools
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tensorboardX import SummaryWriter
from tqdm import tqdm

from experiments import rundir, sampling
from experiments.configs import EXPERIMENTS
from experiments.rundir import Run
from experiments.signals import stop_signals
from gan_jax import checkpoint, images, training
from gan_jax.data import Dataset
from gan_jax.gan import GAN, GANState

_SCATTER_POINTS = 2500


def train(run: Run, dataset: Dataset, *, resumed: bool) -> int:
    """Trains until the last step, a signal, or a quantity that is not finite; returns the exit code."""
    options, name = run.config.run, run.config.experiment
    gan = run.gan()
    state = run.restore(gan, quarantine=True) if resumed else run.fresh_state(gan)
    step, last = int(state.step), options["steps"]
    saved = step if resumed else None
    track = None
    if options["track"] is not None:
        from experiments import tracking  # Not earlier: it loads what only a run that is tracked needs.

        track = tracking.tracker(run, gan)
    advance = _advancer(run, gan, dataset)
    generate = sampling.generator_of(gan)
    z, y, originals = _fixed_inputs(run, gan)
    samples = run.path / "samples"
    samples.mkdir(exist_ok=True)
    bar = tqdm(total=last, initial=step, desc=name, unit="step", disable=None, dynamic_ncols=True)
    with (
        stop_signals() as received,
        SummaryWriter(str(run.path / "tensorboard")) as board,
        open(run.path / "metrics.jsonl", "a") as log,
        bar,
    ):
        if not resumed and dataset.is_image:
            board.add_image("real", sampling.picture(dataset.x[:100]), 0, dataformats="HWC")
        while step < last and not received:
            started = time.perf_counter()
            n = _until_next(step, options)
            state, metrics = advance(state, n)
            metrics = jax.device_get(metrics)
            if (first := _first_not_finite(metrics)) is not None:
                bar.close()
                return _diverged(step + first[0] + 1, first[1], saved)
            step += n
            record = {key: float(values.mean()) for key, values in sorted(metrics.items())}
            record["steps_per_s"] = n / (time.perf_counter() - started)
            if track is not None and (step % options["every"] == 0 or step == last):
                record |= track(state)
            log.write(json.dumps({"step": step, **record}) + "\n")
            log.flush()
            for key, value in record.items():
                board.add_scalar(key, value, step)
            bar.update(n)
            bar.set_postfix_str(shown := _shown(name, record), refresh=False)
            if step % options["sample_every"] == 0 or step == last:
                picture = _picture(generate(state, z, y), originals, dataset, options["invert"])
                images.save_png(samples / f"{step:07d}.png", picture)
                board.add_image("generated", picture, step, dataformats="HWC")
                if bar.disable:
                    print(f"step {step}/{last}: {shown}", flush=True)
            if step % options["save_every"] == 0 or step == last or received:
                if (broken := _not_finite_leaf(state)) is not None:
                    bar.close()
                    return _diverged(step, broken, saved)
                checkpoint.save(run.checkpoints, step, state)
                saved = step
    if received:
        print(f"stopped and saved at step {step}; go on with: python -m experiments.run {name} --resume {run.path}")
        return 128 + received[0]
    print(
        f"step {step}: see {samples / f'{step:07d}.png'}; "
        f"next: python -m experiments.sample {run.path} --out samples.png"
    )
    return 0


def _advancer(run: Run, gan: GAN, dataset: Dataset) -> Callable[[GANState, int], tuple[GANState, Any]]:
    """`(state, n) -> (state after n more steps, metrics [n])`: compiled; data on the device, or streamed."""
    options = run.config.run
    rng = rundir.run_keys(run.config)[1]
    batch_size, warmup_steps = options["batch_size"], options.get("warmup_steps", 0)
    warmup = gan.replace(n_critic=options["warmup_critic"]) if warmup_steps else gan
    host = training.Examples(dataset.x, dataset.labels)
    resident = None if options["stream"] or not _fits(dataset) else jax.tree.map(jnp.asarray, host)
    compiled = functools.partial(jax.jit, donate_argnums=1, compiler_options=training.compiler_options())
    run_resident = compiled(training.train, static_argnums=(0, 4, 5))
    run_streamed = compiled(training.train_streamed, static_argnums=0)
    draw = jax.jit(jax.vmap(training.draw_indices, (None, 0, None, None, None)), static_argnums=(2, 3, 4))

    def advance(state: GANState, n: int) -> tuple[GANState, Any]:
        phase = warmup if int(state.step) < warmup_steps else gan
        if resident is not None:
            return run_resident(phase, state, resident, rng, n, batch_size)
        steps = state.step + jnp.arange(n, dtype=jnp.int32)
        indices = np.asarray(draw(rng, steps, phase.n_critic, batch_size, len(dataset)))
        return run_streamed(phase, state, jax.tree.map(lambda leaf: leaf[indices], host), rng)

    return advance


def _diverged(step: int, name: str, saved: int | None) -> int:
    kept = "nothing was saved yet" if saved is None else f"the checkpoint of step {saved} is the last"
    print(f"{name} stopped being finite at step {step}; {kept}. A lower learning rate usually helps.", file=sys.stderr)
    return 1


def _until_next(step: int, options: Mapping[str, Any]) -> int:
    """Steps to the next event, at most `log_every`: what a chunk holds never changes what a step computes."""
    periods = [options["log_every"], options["sample_every"], options["save_every"]]
    if options["track"] is not None:
        periods.append(options["every"])
    ends = [options["steps"], *(step - step % period + period for period in periods)]
    if step < options.get("warmup_steps", 0):
        ends.append(options["warmup_steps"])
    return min(ends) - step


def _first_not_finite(metrics: Any) -> tuple[int, str] | None:
    """The offset of the first step with a value that is not finite, and its name: of several a loss, D's before G's."""
    found = []
    for name, values in metrics.items():
        bad = [i for i, value in enumerate(values) if not math.isfinite(value)]
        found += [(bad[0], name)] if bad else []
    return min(found, key=lambda first: (first[0], not first[1].endswith("loss"), first[1]), default=None)


def _not_finite_leaf(state: GANState) -> str | None:
    """The name of an array of the state that is not finite: metrics are taken before the update, and can't tell."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        if not jnp.isfinite(leaf).all():
            return f"state{jax.tree_util.keystr(path)}"
    return None


def _fits(dataset: Dataset) -> bool:
    """Whether the whole data set can lie on the device beside the model: half of its memory, where that is known."""
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    return limit is None or dataset.x.nbytes <= limit / 2


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
