"""Train a recipe: python -m experiments.run NAME [options]."""

import argparse
import json
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import cli
from experiments.configs import EXPERIMENTS, Config

if TYPE_CHECKING:
    import numpy as np

    from experiments.rundir import Run
    from gan_jax.data import Dataset

_SCATTER_POINTS = 2500


def main(argv: list[str]) -> int:
    """Parses, trains, and returns the exit code: 0 done, 1 diverged, 128 + signal stopped and saved."""
    if not argv or argv[0] in ("-h", "--help"):
        print(_overview())
        return 0 if argv else 2
    name = argv[0]
    if name not in EXPERIMENTS:
        hint = cli.nearest(name, EXPERIMENTS)
        print(f"run: there is no recipe {name!r}{hint}; python -m experiments.run --help lists them", file=sys.stderr)
        return 2
    options = vars(parser(name).parse_args(argv[1:]))

    cli.start_jax()
    from experiments import rundir
    from gan_jax import data
    from gan_jax.errors import InputError

    if (resume := options.pop("resume", None)) is not None:
        run = rundir.load(resume)
        config = run.config
        if config.experiment != name:
            raise InputError(
                f"{resume} was made by {config.experiment}: type experiments.run {config.experiment} --resume"
            )
        steps = options.pop("steps", config.run["steps"])
        if options:
            raise InputError(
                f"a resumed run keeps its options, only --steps may be given with --resume, not {_typed(options)}"
            )
        run = rundir.Run(
            resume, Config(name, {**config.run, "steps": steps}, config.recipe), run.shape, run.num_classes
        )
        dataset = data.load(config.run["data"])
        if (dataset.shape, dataset.num_classes) != (run.shape, run.num_classes):
            raise InputError(
                f"{dataset.name} has changed since {resume} was started: put the old data back, or start anew"
            )
        return train(run, dataset, resumed=True)

    config = _config(name, options)
    dataset = data.load(config.run["data"])
    # Built once before the directory is made: what does not fit the data costs nothing that is on disk.
    rundir.Run(Path(), config, dataset.shape, dataset.num_classes).gan()
    run = rundir.create(config, dataset, options.get("out"), overwrite=options.get("overwrite", False))
    return train(run, dataset, resumed=False)


def train(run: "Run", dataset: "Dataset", *, resumed: bool) -> int:
    """Trains until the last step, a signal, or a quantity that is not finite; returns the exit code."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from tensorboardX import SummaryWriter
    from tqdm import tqdm

    from experiments import rundir, sampling
    from gan_jax import checkpoint, images, training

    options = run.config.run
    gan = run.gan()
    warmup_steps = options.get("warmup_steps", 0)
    warmup = gan.replace(n_critic=options["warmup_critic"]) if warmup_steps else gan
    state = run.restore(gan, quarantine=True) if resumed else run.fresh_state(gan)
    rng = rundir.run_keys(run.config)[1]

    host = training.Examples(dataset.x, dataset.labels)
    resident = None if options["stream"] or not _fits(dataset) else jax.tree.map(jnp.asarray, host)
    run_resident = jax.jit(training.train, static_argnums=(0, 4, 5), donate_argnums=1)
    run_streamed = jax.jit(training.train_streamed, static_argnums=0, donate_argnums=1)
    draw = jax.jit(jax.vmap(training.draw_indices, (None, 0, None, None, None)), static_argnums=(2, 3, 4))

    def advance(state: Any, n: int) -> Any:
        phase = warmup if int(state.step) < warmup_steps else gan
        if resident is not None:
            return run_resident(phase, state, resident, rng, n, options["batch_size"])
        steps = state.step + jnp.arange(n, dtype=jnp.int32)
        indices = np.asarray(draw(rng, steps, phase.n_critic, options["batch_size"], len(dataset)))
        return run_streamed(phase, state, jax.tree.map(lambda leaf: leaf[indices], host), rng)

    generate = sampling.generator_of(gan)
    z, y, originals = _fixed_inputs(run, gan)
    stopped_by: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, frame: stopped_by.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    samples_dir = run.path / "samples"
    samples_dir.mkdir(exist_ok=True)
    step, last = int(state.step), options["steps"]
    saved = step if resumed else -1
    bar = tqdm(total=last, initial=step, desc=run.config.experiment, unit="step", disable=None, dynamic_ncols=True)
    with SummaryWriter(str(run.path / "tensorboard")) as board, open(run.path / "metrics.jsonl", "a") as log, bar:
        if not resumed:
            real = dataset.x[np.asarray(draw(rng, jnp.zeros(1, jnp.int32), 1, 100, len(dataset)))[0, 0]]
            if dataset.is_image:
                board.add_image("real", sampling.picture(real), 0, dataformats="HWC")
        while step < last and not stopped_by:
            started = time.perf_counter()
            n = _until_next(step, last, warmup_steps, options)
            state, metrics = advance(state, n)
            metrics = jax.device_get(metrics)
            seconds = time.perf_counter() - started
            if (first := _first_not_finite(metrics)) is not None:
                offset, name = first
                kept = f"the checkpoint of step {saved} is finite" if saved >= 0 else "nothing was saved yet"
                bar.close()
                print(
                    f"{name} stopped being finite at step {step + offset + 1}; {kept}. "
                    "A lower learning rate usually helps.",
                    file=sys.stderr,
                )
                return 1
            step += n
            record = {name: float(np.mean(values)) for name, values in sorted(metrics.items())}
            record = {"step": step, **record, "steps_per_s": n / seconds}
            log.write(json.dumps(record) + "\n")
            log.flush()
            for name, value in record.items():
                if name != "step":
                    board.add_scalar(name, value, step)
            bar.update(n)
            bar.set_postfix(_shown(run, record), refresh=False)
            if step % options["sample_every"] == 0 or step == last:
                picture = _picture(generate(state, z, y), originals, dataset, options["invert"])
                images.save_png(samples_dir / f"{step:07d}.png", picture)
                board.add_image("generated", picture, step, dataformats="HWC")
            if step % options["save_every"] == 0 or step == last:
                checkpoint.save(run.checkpoints, state)
                saved = step
        if stopped_by and saved != step:
            checkpoint.save(run.checkpoints, state)
    for number, handler in previous.items():
        signal.signal(number, handler)
    return _farewell(run, step, stopped_by)


def _config(name: str, typed: dict[str, Any]) -> Config:
    experiment = EXPERIMENTS[name]
    preset = experiment.paper_settings if typed.get("preset") == "paper" else {}
    values = {**experiment.defaults, **preset, **typed}
    return Config(
        name,
        {option: values[option] for option in experiment.run_options},
        {option: values[option] for option in experiment.recipe_options},
    )


def _until_next(step: int, last: int, warmup_steps: int, options: Any) -> int:
    """Steps to the next event, at most `log_every`: what a chunk holds never changes what a step computes."""
    every = (options["log_every"], options["sample_every"], options["save_every"])
    ends = [
        last,
        *(step - step % period + period for period in every),
        *([warmup_steps] if step < warmup_steps else []),
    ]
    return min(ends) - step


def _first_not_finite(metrics: Any) -> tuple[int, str] | None:
    """The offset of the first step with a value that is not finite, and its name: of several a loss, D's before G's."""
    found = []
    for name, values in metrics.items():
        bad = [i for i, value in enumerate(values) if not math.isfinite(value)]
        found += [(bad[0], name)] if bad else []
    return min(found, key=lambda first: (first[0], not first[1].endswith("loss"), first[1]), default=None)


def _fits(dataset: "Dataset") -> bool:
    """Whether the whole data set can lie on the device beside the model: half of its memory, where that is known."""
    import jax

    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    return limit is None or dataset.x.nbytes <= limit / 2


def _fixed_inputs(run: "Run", gan: Any) -> "tuple[Any, Any, np.ndarray | None]":
    """Latents and conditions of the sample grids; and, for conditions made from data, the examples they are of."""
    from experiments import sampling

    z_rng, y_rng = run.fixed_keys()
    columns = sampling.COLUMNS
    kind = sampling.condition_kind(run, gan)
    n = columns * columns if len(run.shape) == 3 else _SCATTER_POINTS
    if kind == "label":
        labels = sampling.class_rows(run.num_classes)
        if len(run.shape) == 1:
            labels = labels.repeat(_SCATTER_POINTS // len(labels))
        return gan.prior(z_rng, len(labels)), labels, None
    if kind == "data":
        originals, y = sampling.held_out(run, gan, y_rng, columns, copies=columns - 1)
        return gan.prior(z_rng, len(y)), y, originals
    return gan.prior(z_rng, n), None, None


def _picture(samples: "np.ndarray", originals: "np.ndarray | None", dataset: "Dataset", invert: bool) -> "np.ndarray":
    import numpy as np

    from experiments import sampling

    if originals is not None:
        rows = samples.reshape(len(originals), -1, *samples.shape[1:])
        samples = np.concatenate([originals[:, None], rows], axis=1).reshape(-1, *samples.shape[1:])
    return sampling.picture(samples, None if dataset.is_image else dataset.x[:_SCATTER_POINTS], invert=invert)


def _shown(run: "Run", record: dict[str, Any]) -> dict[str, str]:
    names = {"d_loss": "D", "g_loss": "G"}
    if EXPERIMENTS[run.config.experiment].recipe.startswith("wgan"):
        names |= {"estimate": "W"}
    else:
        names |= {"d_real": "D(x)", "d_fake": "D(G(z))"}
    return {label: f"{record[name]:.3g}" for name, label in names.items()} | {"steps/s": f"{record['steps_per_s']:.3g}"}


def _farewell(run: "Run", step: int, stopped_by: list[int]) -> int:
    name = run.config.experiment
    if stopped_by:
        print(f"stopped and saved at step {step}; go on with: python -m experiments.run {name} --resume {run.path}")
        return 128 + stopped_by[0]
    print(
        f"step {step}: see {run.path / 'samples' / f'{step:07d}.png'}; "
        f"next: python -m experiments.sample {run.path} --out samples.png"
    )
    return 0


def _typed(options: dict[str, Any]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in options)


def _overview() -> str:
    lines = ["usage: python -m experiments.run NAME [options]", "", "recipes (NAME --help lists the options of one):"]
    lines += [f"  {name:<15} {e.summary}\n  {'':<15}   {e.paper}" for name, e in EXPERIMENTS.items()]
    return "\n".join(lines)


def parser(name: str) -> argparse.ArgumentParser:
    """The options of one recipe. What was not typed is not in the result: the defaults are `EXPERIMENTS`'."""
    experiment = EXPERIMENTS[name]
    paper = ", ".join(f"{k.replace('_', '-')} {v}" for k, v in experiment.paper_settings.items())
    options = cli.Parser(
        prog=f"python -m experiments.run {name}",
        description=f"{experiment.summary}\n{experiment.paper}\n\nDefaults suit two CPU cores and a few minutes.",
        epilog=f"--preset paper: {paper}",
        argument_default=argparse.SUPPRESS,
    )
    cli.add_options(options, experiment.run_options | experiment.recipe_options, experiment.defaults)
    options.add_argument("--preset", choices=["paper"], help="the paper's own settings and length (see below)")
    options.add_argument(
        "--out", type=Path, metavar="DIR", help="directory of this run (default: the next free runs/NAME/NNN)"
    )
    options.add_argument("--overwrite", action="store_true", help="replace the run in --out")
    options.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this directory, to --steps")
    return options


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    cli.main(main)
