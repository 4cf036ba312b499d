"""Sample from a run."""

import argparse
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import data, images
from gan_jax.data.classes import listed
from gan_jax.errors import InputError
from gan_jax.files import atomic
from gan_jax.gan import GAN
from gan_jax.lab import cli, files, given, sampling
from gan_jax.lab.cli import Lab
from gan_jax.lab.job import Job
from gan_jax.lab.options import integer
from gan_jax.lab.progress import Progress
from gan_jax.lab.runs import directory
from gan_jax.lab.signals import leave_at_once


def main(lab: Lab, argv: list[str]) -> int:
    """Parses, restores the run's newest checkpoint, and writes one file; returns 0."""
    parser = _parser(lab)
    options = parser.parse_args(argv)
    if options.out.suffix not in (".png", ".npz"):
        parser.error(f"--out must end in .png (a grid) or .npz (arrays), got {options.out}")
    if options.label is not None and options.classes:
        parser.error("--label and --classes exclude each other: one class, or all of them")
    cli.start_jax()
    with leave_at_once("stopped: no file was written"), Progress(0, what="sample") as bar, bar.doing("sampling"):
        run = directory.load(options.run, lab.table)
        job, gan = run.job, run.job.gan()
        kind = gan.conditioning.kind
        label = None if options.label is None else sampling.label_of(job, gan, options.label)
        if options.classes and kind != "labels":
            raise InputError(f"{job.config.name} is not conditioned on labels: leave out --classes")
        files.check_parent(options.out)
        if options.given is None and options.resize:
            raise InputError("--resize is for pictures of your own: add --given, or leave it out")
        given_y = None if options.given is None else given.read(job, gan, options.given, resize=options.resize)
        if kind == "data" and given_y is None:
            job.check_data(data.load(job.spec))
        state = run.restore_best() if options.best else run.restore(options.step)
        z, y, originals = _inputs(job, gan, options, label, given_y)
        samples = sampling.generator_of(gan, check=True)(state, z, y)
        reference = None if len(job.shape) == 3 or options.out.suffix != ".png" else _points(job)
        with files.write_errors(options.out):
            labels = sampling.written_labels(job, np.asarray(y)) if kind == "labels" else None
            view = gan.conditioning.view
            if view is None or options.interpolate:
                _write(options.out, samples, labels, reference, options.invert)
            else:
                pictures = sampling.given_pictures(view, y, job.shape[-1])
                _write_translated(options.out, samples, pictures, originals, options.invert)
    of_class = "" if label is None else f" of class {listed([job.classes[label]])}"
    print(f"{len(samples)} samples{of_class} at step {int(state.step)}: {options.out}")
    if options.classes and len(job.shape) == 3:
        rows = [job.classes[row] for row in np.asarray(y)[:: sampling.COLUMNS]]
        print(f"a row per class, from the top: {listed(rows, shown=len(rows))}")
    return 0


def _inputs(
    job: Job, gan: GAN, options: argparse.Namespace, label: int | None, given_y: Any
) -> tuple[Any, Any, np.ndarray | None]:
    """The latents and conditions to generate from, and the test examples that the conditions are of."""
    is_image = len(job.shape) == 3
    columns, n = sampling.COLUMNS, options.n or (sampling.COLUMNS**2 if is_image else sampling.POINTS)
    z_rng, y_rng = jax.random.split(jax.random.key(options.seed))
    if gan.conditioning.view is not None:
        n = options.n or (sampling.COLUMNS * sampling.TRIPLES if given_y is None else len(given_y))
    originals: np.ndarray | None = None
    y: Any = None
    if given_y is not None:
        y = given_y[jnp.arange(n) % len(given_y)]
    elif options.classes:
        y = jnp.asarray(sampling.class_rows(job.num_classes))
        if not is_image:
            y = y.repeat(max(1, n // len(y)))
        n = len(y)
    elif gan.conditioning.kind == "labels":
        y = gan.conditioning.draw(y_rng, n) if label is None else jnp.full((n,), label, jnp.int32)
    elif gan.conditioning.kind == "data":
        originals, y = sampling.held_out(job, gan, y_rng, n)
    if not options.interpolate:
        return gan.prior(z_rng, n), y, originals
    n = -(-n // columns) * columns
    # A walk through z at one condition: every row keeps that of its first column.
    y = None if y is None else jnp.repeat(y[::columns], columns, axis=0)
    return sampling.interpolations(gan.prior(z_rng, 2 * n // columns), columns), y, None


def _points(job: Job) -> np.ndarray | None:
    """The data's points, for the picture; None, and a line that says so, where the data is no longer there."""
    try:
        dataset = data.load(job.spec)
        job.check_data(dataset)
    except InputError as error:
        print(f"the picture is without the data: {error}")
        return None
    return sampling.points_of(dataset)


def _write(
    out: Path, samples: np.ndarray, labels: np.ndarray | None, reference: np.ndarray | None, invert: bool
) -> None:
    if out.suffix == ".png":
        images.save_png(out, sampling.picture(samples, reference, invert=invert))
        return
    arrays: dict[str, Any] = {"images": samples} | ({} if labels is None else {"labels": labels})
    with atomic(out) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)


def _write_translated(
    out: Path, samples: np.ndarray, pictures: np.ndarray, originals: np.ndarray | None, invert: bool
) -> None:
    """Given, made and, where known, true side by side; or the arrays of an archive of pairs."""
    if out.suffix == ".npz":
        with atomic(out) as partial, open(partial, "wb") as file:
            np.savez_compressed(file, images=samples, conditions=pictures)
        return
    shown = [pictures, samples, *([] if originals is None else [originals])]
    columns = len(shown) * min(sampling.TRIPLES, len(samples))
    images.save_png(out, sampling.picture(sampling.side_by_side(*shown), columns=columns, invert=invert))


def _parser(lab: Lab) -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog=lab.command("sample"),
        description="Samples of a trained run: a grid as PNG, or arrays as npz (images uint8 [N, H, W, C], or points "
        "float32 [N, D]; labels int32 [N] when the run is conditioned on labels, strings where classes have names; "
        "conditions uint8 [N, H, W, C] when it makes images from pictures).",
    )
    add = parser.add_argument
    add("run", type=cli.path, metavar="RUN", help="directory of a run, such as runs/wgan/001")
    add("--out", type=cli.path, required=True, metavar="FILE", help="FILE.png or FILE.npz")
    add("--n", type=cli.reader(integer(1, 10**7)), metavar="N", help="samples (default: 100 images, 2500 points)")
    add("--seed", type=cli.reader(integer(0, 2**32 - 1)), default=0, metavar="S", help="seed (default: 0)")
    add("--label", metavar="K", help="class to ask for, as the data calls it (default: drawn uniformly per sample)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--best", action="store_true", help="the best checkpoint that run --track kept, not the last")
    which.add_argument("--step", type=cli.reader(integer(0)), metavar="N", help="the checkpoint of this step")
    add("--classes", action="store_true", help="one class per row, ten samples each")
    add("--interpolate", action="store_true", help="each row walks from one latent to another")
    add(
        "--given",
        type=cli.path,
        metavar="FILE|DIR",
        help="pictures of your own to make images from, in place of those of the test set",
    )
    add("--resize", action="store_true", help="resize the given pictures where they are of another size")
    add("--invert", action="store_true", help="dark digits on white")
    return parser
