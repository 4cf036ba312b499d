"""Sample from a run."""

import argparse
from typing import Any, NamedTuple

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
    if options.code is not None and (options.interpolate or options.classes or options.label is not None):
        parser.error("--code walks on its own: leave out --label, --classes and --interpolate")
    cli.start_jax()
    with leave_at_once("stopped: no file was written"), Progress(0, what="sample") as bar, bar.doing("sampling"):
        run = directory.load(options.run, lab.table)
        job, gan = run.job, run.job.gan()
        kind = gan.conditioning.kind
        label = None if options.label is None else sampling.label_of(job, gan, options.label)
        if options.classes and kind != "labels":
            raise InputError(f"{job.config.name} is not conditioned on labels: leave out --classes")
        files.check_parent(options.out)
        if options.code is not None:
            sampling.check_code(job, gan, options.code)
        if options.given is None and options.resize:
            raise InputError("--resize is for pictures of your own: add --given, or leave it out")
        given_y = None if options.given is None else given.read(job, gan, options.given, resize=options.resize)
        if kind == "data" and given_y is None:
            job.check_data(data.load(job.spec))
        state = run.restore_best() if options.best else run.restore(options.step)
        inputs = _inputs(job, gan, options, label, given_y)
        samples = sampling.generator_of(gan, check=True)(state, inputs.z, inputs.y)
        with files.write_errors(options.out):
            _write(job, gan, options, samples, inputs)
    of_class = "" if label is None else f" of class {listed([job.classes[label]])}"
    print(f"{len(samples)} samples{of_class} at step {int(state.step)}: {options.out}")
    if options.classes and len(job.shape) == 3:
        rows = [job.classes[row] for row in np.asarray(inputs.y)[:: sampling.COLUMNS]]
        print(f"a row per class, from the top: {listed(rows, shown=len(rows))}")
    if options.code is not None and len(job.shape) == 3:
        print(f"along every row {options.code} changes and nothing else")
    return 0


class _Inputs(NamedTuple):
    """What samples are made from.

    Attributes:
      z: latents.
      y: conditions, or None.
      columns: of a grid of the samples.
      originals: the test examples that the conditions are of, where they are known.
    """

    z: Any
    y: Any
    columns: int = sampling.COLUMNS
    originals: np.ndarray | None = None


def _inputs(job: Job, gan: GAN, options: argparse.Namespace, label: int | None, given_y: Any) -> _Inputs:
    is_image = len(job.shape) == 3
    columns, n = sampling.COLUMNS, options.n or (sampling.COLUMNS**2 if is_image else sampling.POINTS)
    if options.code is not None:
        return _Inputs(*sampling.walk(job, gan, options.code, jax.random.key(options.seed), -(-n // columns)))
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
    elif gan.conditioning.kind == "codes":
        y = gan.conditioning.draw(y_rng, n)
    elif gan.conditioning.kind == "data":
        originals, y = sampling.held_out(job, gan, y_rng, n)
    if not options.interpolate:
        return _Inputs(gan.prior(z_rng, n), y, columns, originals)
    n = -(-n // columns) * columns
    # A walk through z at one condition: every row keeps that of its first column.
    y = jax.tree.map(lambda leaf: jnp.repeat(leaf[::columns], columns, axis=0), y)
    return _Inputs(sampling.interpolations(gan.prior(z_rng, 2 * n // columns), columns), y, columns)


def _points(job: Job) -> np.ndarray | None:
    """The data's points, for the picture; None, and a line that says so, where the data is no longer there."""
    try:
        dataset = data.load(job.spec)
        job.check_data(dataset)
    except InputError as error:
        print(f"the picture is without the data: {error}")
        return None
    return sampling.points_of(dataset)


def _write(job: Job, gan: GAN, options: argparse.Namespace, samples: np.ndarray, inputs: _Inputs) -> None:
    """A picture, or arrays; of samples made from pictures given, made and, where known, true side by side."""
    view = None if options.interpolate else gan.conditioning.view
    pictures = None if view is None else sampling.given_pictures(view, inputs.y, job.shape[-1])
    if options.out.suffix == ".npz":
        beside: dict[str, Any] = _named(job, gan, inputs.y) if pictures is None else {"conditions": pictures}
        with atomic(options.out) as partial, open(partial, "wb") as file:
            np.savez_compressed(file, images=samples, **beside)
        return
    columns, reference = inputs.columns, _points(job) if len(job.shape) != 3 else None
    if pictures is not None:
        shown = [pictures, samples, *([] if inputs.originals is None else [inputs.originals])]
        columns = len(shown) * min(sampling.TRIPLES, len(samples))
        samples = sampling.side_by_side(*shown)
    images.save_png(options.out, sampling.picture(samples, reference, columns=columns, invert=options.invert))


def _named(job: Job, gan: GAN, y: Any) -> dict[str, Any]:
    """What is written beside samples: the labels, or the codes, that they are of."""
    if gan.conditioning.kind == "labels":
        return {"labels": sampling.written_labels(job, np.asarray(y))}
    return {name: np.asarray(y[name]) for name in sampling.codes_of(gan)}


def _parser(lab: Lab) -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog=lab.command("sample"),
        description="Samples of a trained run: a grid as PNG, or arrays as npz (images uint8 [N, H, W, C], or points "
        "float32 [N, D]; labels int32 [N] when the run is conditioned on labels, strings where classes have names; "
        "codes by their names; conditions uint8 [N, H, W, C] when it makes images from pictures).",
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
    add("--code", metavar="NAME", help="walk a code along each row, everything else fixed: c1, c2, ... of infogan")
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
