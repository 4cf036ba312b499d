"""Sample from a run: python -m experiments.sample RUN [options] --out FILE.png|FILE.npz."""

import argparse
import os
from pathlib import Path
from typing import Any

from experiments import cli
from experiments.configs import whole


def main(argv: list[str]) -> int:
    """Parses, restores the run's newest checkpoint, and writes one file; returns 0."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.out.suffix not in (".png", ".npz"):
        parser.error(f"--out must end in .png (a grid) or .npz (arrays), got {options.out}")
    if options.label is not None and options.classes:
        parser.error("--label and --classes exclude each other: one class, or all of them")

    cli.start_jax()
    import jax
    import jax.numpy as jnp

    from experiments import rundir, sampling
    from gan_jax.errors import InputError

    run = rundir.load(options.run)
    gan = run.gan()
    kind = sampling.condition_kind(run, gan)
    if options.label is not None:
        sampling.check_label(run, gan, options.label)
    if options.classes and kind != "label":
        raise InputError(f"{run.config.experiment} in {options.run} is not conditioned on labels: leave out --classes")
    if not options.out.parent.is_dir():
        raise InputError(f"there is no directory {options.out.parent}: make it, or name another --out")
    state = run.restore_best(gan) if options.best else run.restore(gan)

    columns, n = sampling.COLUMNS, options.n
    z_rng, y_rng = jax.random.split(jax.random.key(options.seed))
    y: Any = None
    if options.classes:
        y = jnp.asarray(sampling.class_rows(run.num_classes))
        n = len(y)
    elif kind == "label":
        y = gan.draw_condition(y_rng, n) if options.label is None else jnp.full((n,), options.label, jnp.int32)
    elif kind == "data":
        y = sampling.held_out(run, gan, y_rng, n)[1]
    if options.interpolate:
        n = -(-n // columns) * columns
        z = sampling.interpolations(gan.prior(z_rng, 2 * n // columns), columns)
        # A walk through z at one condition: every row keeps that of its first column.
        y = None if y is None else jnp.repeat(y[: n // columns], columns, axis=0)
    else:
        z = gan.prior(z_rng, n)
    samples = sampling.generator_of(gan)(state, z, y)
    labels = y if kind == "label" else None
    try:
        _write(options.out, samples, labels, options.invert)
    except OSError as error:
        raise InputError(f"{options.out} can't be written ({error.strerror}): name another --out") from error
    print(f"{len(samples)} samples at step {int(state.step)}: {options.out}")
    return 0


def _write(out: Path, samples: Any, labels: Any, invert: bool) -> None:
    import numpy as np

    from experiments import sampling
    from gan_jax import images

    if out.suffix == ".png":
        images.save_png(out, sampling.picture(samples, invert=invert))
        return
    arrays = {"images": samples} | ({} if labels is None else {"labels": np.asarray(labels, np.int32)})
    partial = out.with_name(f".{out.stem}.partial.npz")
    np.savez_compressed(partial, **arrays)
    os.replace(partial, out)


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog="python -m experiments.sample",
        description="Samples of a trained run: a grid as PNG, or arrays as npz (images uint8 [N, H, W, C], or points "
        "float32 [N, D]; labels int32 [N] when the run is conditioned on labels).",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a run, like runs/wgan/001")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="FILE.png or FILE.npz")
    parser.add_argument(
        "--n", type=cli.reader(whole(1, 10**7)), default=100, metavar="N", help="samples (default: 100)"
    )
    parser.add_argument(
        "--seed", type=cli.reader(whole(0, 2**32 - 1)), default=0, metavar="S", help="seed (default: 0)"
    )
    parser.add_argument(
        "--label", type=cli.reader(int), metavar="K", help="class to ask for (default: drawn uniformly per sample)"
    )
    parser.add_argument("--best", action="store_true", help="the best checkpoint that run --track kept, not the last")
    parser.add_argument("--classes", action="store_true", help="one class a row, ten samples each")
    parser.add_argument("--interpolate", action="store_true", help="each row walks from one latent to another")
    parser.add_argument("--invert", action="store_true", help="dark digits on white")
    return parser


if __name__ == "__main__":
    cli.main(main)
