"""Sample from a run."""

import argparse
import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import data, images
from gan_jax.data.classes import listed
from gan_jax.errors import InputError
from gan_jax.files import atomic
from gan_jax.gan import GAN
from gan_jax.lab import animation, cli, files, given, loading, sampling, tagging
from gan_jax.lab.cli import Lab
from gan_jax.lab.job import Job
from gan_jax.lab.loading import Trained
from gan_jax.lab.options import integer
from gan_jax.lab.progress import Progress, counted
from gan_jax.lab.report import frames
from gan_jax.lab.signals import leave_at_once
from gan_jax.training import to_uint8

_WALKS = 25
_MILLISECONDS = 50
_MOST = 2**32 - 1


def main(lab: Lab, argv: list[str]) -> int:
    """Parses, restores the run's newest checkpoint, and writes one file; returns 0."""
    parser = _parser(lab)
    options = parser.parse_args(argv)
    out = _checked(parser, options)
    cli.start_jax()
    with leave_at_once("stopped: no file was written"), Progress(0, what="sample") as bar, bar.doing("sampling"):
        if options.history is not None:
            lines = _history(options, out)
        elif out.suffix in animation.MOVING:
            lines = _walks(lab, options, out)
        else:
            lines = _samples(lab, options, out)
    print("\n".join(lines))
    return 0


def _checked(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Path:
    """The file to write; leaves with exit code 2 where what was typed excludes itself."""
    typed = {name for name, value in vars(options).items() if value is not None and value is not False}
    typed -= {"run", "out", "invert"}
    for first, excluded, reason in _EXCLUSIVE:
        both = typed & excluded
        if first in typed and both:
            other = min(both, key=[*vars(options)].index)
            parser.error(f"--{first} and --{other} exclude each other: {reason}".replace("_", "-"))
    named = [options.history, options.interpolate, options.out]
    found = [file for file in named if isinstance(file, Path)]
    if not found:
        parser.error("the following arguments are required: --out")
    if len(found) > 1:
        parser.error(f"both {found[0]} and {found[1]} are to be written: name one file")
    (out,) = found
    suffixes: tuple[str, ...]
    if options.history is not None:
        suffixes, kinds = (*animation.MOVING, ".png"), ".gif or .webp (moving) or .png (a sheet)"
    elif options.interpolate is not None:
        suffixes, kinds = (".png", ".npz", *animation.MOVING), ".png (a grid), .npz (arrays), .gif or .webp (moving)"
    else:
        suffixes, kinds = (".png", ".npz"), ".png (a grid) or .npz (arrays)"
    if out.suffix not in suffixes:
        parser.error(f"--out must end in {kinds}, got {out}")
    return out


_EXCLUSIVE: tuple[tuple[str, set[str], str], ...] = (
    (
        "history",
        {
            "n", "seed", "label", "best", "step", "classes", "interpolate", "given", "resize", "seeds", "seed_grid",
            "code",
        },
        "it shows the grids that the run saved",
    ),
    ("label", {"classes"}, "one class, or all of them"),
    ("code", {"label", "classes", "interpolate", "seeds", "seed_grid"}, "--code walks on its own"),
    ("seeds", {"n", "seed", "classes", "interpolate", "seed_grid"}, "it draws one sample per seed"),
    ("seed_grid", {"interpolate"}, "a walk leads through latents of no seed"),
)  # fmt: skip


def _history(options: argparse.Namespace, out: Path) -> list[str]:
    """Writes the grids that the run saved, and says so."""
    grids = animation.history(loading.resolved(options.run))
    files.check_parent(out)
    with files.write_errors(out):
        shown = animation.write_history(out, grids, invert=options.invert)
    first, *_, last = [*grids, *grids]
    return [f"{shown} of {len(frames.of_run(loading.resolved(options.run)))} grids, steps {first} to {last}: {out}"]


def _walks(lab: Lab, options: argparse.Namespace, out: Path) -> list[str]:
    """Writes closed walks through latents, each in a place of its own, and says so."""
    found, label, given_y = _found(lab, options, out)
    job, gan = found.job, found.gan
    is_image = len(job.shape) == 3
    n = options.n or (_WALKS if is_image else sampling.POINTS)
    columns = sampling.COLUMNS if options.classes else math.ceil(math.sqrt(n))
    z_rng, y_rng = jax.random.split(jax.random.key(options.seed or 0))
    y, _, n = _conditions(job, gan, options, label, given_y, n, y_rng)
    z = _vectors(job, gan.prior(z_rng, animation.KEYS * n))
    generate, reference = sampling.generator_of(gan, check=True), sampling.reference_points(job, print)
    pictures = []
    for latents in animation.tour(z.reshape(animation.KEYS, n, -1)):
        samples = generate(found.state, latents, y)
        picture = sampling.picture(samples, reference, columns=columns, invert=options.invert)
        pictures.append(animation.enlarged(picture) if is_image else picture)
    with files.write_errors(out):
        animation.write_moving(out, pictures, [_MILLISECONDS] * len(pictures))
    return [
        f"{counted(n, 'walk')} through {animation.KEYS} latents{_of(job, label)} at step {int(found.state.step)}: {out}"
    ]


def _samples(lab: Lab, options: argparse.Namespace, out: Path) -> list[str]:
    """Writes samples as a grid or as arrays, and says so."""
    found, label, given_y = _found(lab, options, out)
    job, gan = found.job, found.gan
    if job.tags:
        return _tags(found, options, given_y, out)
    inputs = _inputs(job, gan, options, label, given_y)
    samples = sampling.generator_of(gan, check=True)(found.state, inputs.z, inputs.y)
    with files.write_errors(out):
        _write(out, job, gan, options, samples, inputs)
    lines = [f"{counted(len(samples), 'sample')}{_of(job, label)} at step {int(found.state.step)}: {out}"]
    if options.classes and len(job.shape) == 3:
        rows = _rows(job, inputs)
        lines.append(f"a row per class, from the top: {listed(rows, shown=len(rows))}")
    if options.code is not None and len(job.shape) == 3:
        lines.append(f"along every row {options.code} changes and nothing else")
    if options.seed_grid and inputs.seeds is not None:
        lines.append("seeds, in the order of the samples (--seeds A,B,C draws some of them again):")
        seeds, width = inputs.seeds, len(str(max(inputs.seeds)))
        row = sampling.COLUMNS if gan.conditioning.view is None else sampling.TRIPLES
        lines += ["  ".join(f"{seed:{width}}" for seed in seeds[k : k + row]) for k in range(0, len(seeds), row)]
    return lines


def _tags(found: Trained, options: argparse.Namespace, given_y: Any, out: Path) -> list[str]:
    """Writes pictures with the tags that they are given, or arrays, and says so."""
    job, gan = found.job, found.gan
    n = options.n or (tagging.SHOWN if given_y is None else len(given_y))
    z_rng, y_rng = jax.random.split(jax.random.key(options.seed or 0))
    y = _conditions(job, gan, options, None, given_y, n, y_rng)[0]
    tags = tagging.drawer(gan, check=True)(found.state, y, z_rng)
    with files.write_errors(out):
        if out.suffix == ".npz":
            pictures = np.asarray(to_uint8(jnp.asarray(y), (-1.0, 1.0)))
            with atomic(out) as partial, open(partial, "wb") as file:
                np.savez_compressed(file, images=pictures, tags=tags.astype(np.uint8), tag_names=np.array(job.tags))
        else:
            images.save_png(out, tagging.picture(job.tags, y, tags, invert=options.invert))
    return [f"{counted(n, 'picture')} with tags of {tagging.DRAWS} draws at step {int(found.state.step)}: {out}"]


def _of(job: Job, label: int | None) -> str:
    return "" if label is None else f" of class {listed([job.classes[label]])}"


def _found(lab: Lab, options: argparse.Namespace, out: Path) -> tuple[Trained, int | None, Any]:
    """What is sampled from, the label asked for, and the pictures given."""
    found = loading.load(options.run, step=options.step, best=options.best, table=lab.table)
    job, gan = found.job, found.gan
    label = None if options.label is None else sampling.label_of(job, gan, options.label)
    if options.classes and gan.conditioning.kind != "labels":
        raise InputError(f"{job.config.name} is not conditioned on labels: leave out --classes")
    if job.tags and (options.interpolate is not None or options.seeds or options.seed_grid):
        raise InputError(
            f"{job.config.name} gives a picture tags of {tagging.DRAWS} draws: leave out --interpolate, --seeds and "
            "--seed-grid"
        )
    files.check_parent(out)
    if options.code is not None:
        sampling.check_code(job, gan, options.code)
    if options.given is None and options.resize:
        raise InputError("--resize is for pictures of your own: add --given, or leave it out")
    given_y = None if options.given is None else given.read(job, gan, options.given, resize=options.resize)
    if gan.conditioning.kind == "data" and given_y is None:
        job.check_data(data.load(job.spec))
    return found, label, given_y


class _Inputs(NamedTuple):
    """What samples are made from.

    Attributes:
      z: latents.
      y: conditions, or None.
      columns: of a grid of the samples.
      originals: the test examples that the conditions are of, where they are known.
      seeds: of each sample, where each has its own.
    """

    z: Any
    y: Any
    columns: int = sampling.COLUMNS
    originals: np.ndarray | None = None
    seeds: list[int] | None = None


def _inputs(job: Job, gan: GAN, options: argparse.Namespace, label: int | None, given_y: Any) -> _Inputs:
    is_image = len(job.shape) == 3
    columns, n = sampling.COLUMNS, options.n or (sampling.COLUMNS**2 if is_image else sampling.POINTS)
    seed = options.seed or 0
    if options.code is not None:
        return _Inputs(*sampling.walk(job, gan, options.code, jax.random.key(seed), -(-n // columns)))
    z_rng, y_rng = jax.random.split(jax.random.key(seed))
    if gan.conditioning.view is not None:
        n = options.n or (sampling.COLUMNS * sampling.TRIPLES if given_y is None else len(given_y))
    if options.seeds or options.seed_grid:
        n = len(_class_rows(job, n)) if options.classes else n
        seeds = list(options.seeds or range(seed, seed + n))
        return _of_seeds(job, gan, options, label, given_y, seeds)
    y, originals, n = _conditions(job, gan, options, label, given_y, n, y_rng)
    if options.interpolate is None:
        return _Inputs(gan.prior(z_rng, n), y, columns, originals)
    n = -(-n // columns) * columns
    # A walk through z at one condition: every row keeps that of its first column.
    y = jax.tree.map(lambda leaf: jnp.repeat(leaf[::columns], columns, axis=0), y)
    ends = _vectors(job, gan.prior(z_rng, 2 * n // columns))
    return _Inputs(sampling.interpolations(ends, columns), y, columns)


def _conditions(
    job: Job, gan: GAN, options: argparse.Namespace, label: int | None, given_y: Any, n: int, rng: jax.Array
) -> tuple[Any, np.ndarray | None, int]:
    """The conditions of n samples, the test examples that they are of, and how many there are: of classes, all."""
    if given_y is not None:
        return given_y[jnp.arange(n) % len(given_y)], None, n
    if options.classes:
        y = jnp.asarray(_class_rows(job, n))
        return y, None, len(y)
    if label is not None:
        return jnp.full((n,), label, jnp.int32), None, n
    if gan.conditioning.kind == "data":
        originals, y = sampling.held_out(job, gan, rng, n)
        return y, originals, n
    return gan.conditioning.draw(rng, n), None, n


def _of_seeds(
    job: Job, gan: GAN, options: argparse.Namespace, label: int | None, given_y: Any, seeds: list[int]
) -> _Inputs:
    if max(seeds) > _MOST:
        raise InputError(f"seeds go to {_MOST} and these to {max(seeds)}: choose a lower --seed")
    z, y = sampling.of_seeds(gan, seeds)
    originals: np.ndarray | None = None
    if given_y is not None or options.classes or label is not None:
        y = _conditions(job, gan, options, label, given_y, len(seeds), jax.random.key(0))[0]
    elif gan.conditioning.kind == "data":
        originals, y = sampling.held_out_of_seeds(job, gan, seeds)
    return _Inputs(z, y, originals=originals, seeds=seeds)


def _class_rows(job: Job, n: int) -> np.ndarray:
    """The labels of --classes: ten samples each, of points about n in all."""
    rows = sampling.class_rows(job.num_classes)
    return rows if len(job.shape) == 3 else rows.repeat(max(1, n // len(rows)))


def _vectors(job: Job, z: jax.Array) -> jax.Array:
    """Latents between which a straight line leads. Raises InputError where there is none."""
    if z.ndim != 2 or not jnp.issubdtype(z.dtype, jnp.floating):
        raise InputError(
            f"latents of {job.config.name} are {z.dtype} {list(z.shape[1:])}, between which no line leads: leave out "
            "--interpolate"
        )
    return z


def _write(out: Path, job: Job, gan: GAN, options: argparse.Namespace, samples: np.ndarray, inputs: _Inputs) -> None:
    """A picture, or arrays; of samples made from pictures given, made and, where known, true side by side."""
    view = gan.conditioning.view if options.interpolate is None else None
    pictures = None if view is None else sampling.given_pictures(view, inputs.y, job.shape[-1])
    if out.suffix == ".npz":
        beside: dict[str, Any] = _named(job, gan, inputs.y) if pictures is None else {"conditions": pictures}
        beside |= {} if inputs.seeds is None else {"seeds": np.asarray(inputs.seeds, np.uint32)}
        with atomic(out) as partial, open(partial, "wb") as file:
            np.savez_compressed(file, images=samples, **beside)
        return
    columns, reference = inputs.columns, sampling.reference_points(job, print)
    if pictures is not None:
        shown = [pictures, samples, *([] if inputs.originals is None else [inputs.originals])]
        columns = len(shown) * min(sampling.TRIPLES, len(samples))
        samples = sampling.side_by_side(*shown)
    picture = sampling.picture(samples, reference, columns=columns, invert=options.invert)
    if options.classes and len(job.shape) == 3:
        picture = images.named_rows(picture, _rows(job, inputs))
    images.save_png(out, picture)


def _rows(job: Job, inputs: _Inputs) -> list[str]:
    """The class of each row of --classes."""
    return [job.classes[row] for row in np.asarray(inputs.y)[:: sampling.COLUMNS]]


def _named(job: Job, gan: GAN, y: Any) -> dict[str, Any]:
    """What is written beside samples: the labels, or the codes, that they are of."""
    if gan.conditioning.kind == "labels":
        return {"labels": sampling.written_labels(job, np.asarray(y))}
    return {name: np.asarray(y[name]) for name in sampling.codes_of(gan)}


def _seeds(text: str) -> list[int]:
    try:
        return [integer(0, _MOST)(item) for item in text.split(",")]
    except ValueError as error:
        raise ValueError(f"expected seeds A,B,C, whole numbers from 0 to {_MOST}, got {text!r}") from error


def _file(text: str) -> Path:
    path = cli.path(text)
    if path.suffix not in (".png", ".npz", *animation.MOVING):
        raise ValueError(f"expected a file that ends in .gif, .webp, .png or .npz, got {text!r} (RUN comes first)")
    return path


def _parser(lab: Lab) -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog=lab.command("sample"),
        description="Samples of a trained run: a grid as PNG, or arrays as npz (images uint8 [N, H, W, C], or points "
        "float32 [N, D]; labels int32 [N] when the run is conditioned on labels, strings where classes have names; "
        "codes by their names; conditions uint8 [N, H, W, C] when it makes images from pictures). Of a run that draws "
        "tags: pictures of the test set with the tags that they are given below, or images, tags uint8 [N, T] and "
        "tag_names.",
    )
    add = parser.add_argument
    add(
        "run",
        type=cli.path,
        metavar="RUN",
        help="directory of a run, a sweep or an export, or a model's name",
    )
    add("--out", type=cli.path, metavar="FILE", help="FILE.png or FILE.npz")
    add(
        "--n",
        type=cli.reader(integer(1, 10**7)),
        metavar="N",
        help="samples (default: 100 images, 2500 points, 40 pictures with tags)",
    )
    add("--seed", type=cli.reader(integer(0, _MOST)), metavar="S", help="seed (default: 0)")
    add("--seeds", type=cli.reader(_seeds), metavar="A,B,C", help="a sample of each of these seeds")
    add("--seed-grid", action="store_true", help="draw samples of the seeds S, S+1, ..., and print which is where")
    add("--label", metavar="K", help="class to ask for, as the data calls it (default: drawn uniformly per sample)")
    cli.add_checkpoint(parser)
    add("--classes", action="store_true", help="one class per row, ten samples each")
    add("--code", metavar="NAME", help="walk a code along each row, everything else fixed: c1, c2, ... of infogan")
    add(
        "--interpolate",
        nargs="?",
        const=True,
        type=cli.reader(_file),
        metavar="FILE",
        help="each row walks from one latent to another; in FILE.gif or FILE.webp, 25 samples walk through four "
        "latents and back to the first; FILE here in place of --out",
    )
    add(
        "--history",
        nargs="?",
        const=True,
        type=cli.reader(_file),
        metavar="FILE",
        help="the training, from the grids that the run saved: moving in FILE.gif or FILE.webp, 16 of them in FILE.png",
    )
    add(
        "--given",
        type=cli.path,
        metavar="FILE|DIR",
        help="pictures of your own to make images from, or to give tags, in place of those of the test set",
    )
    add("--resize", action="store_true", help="resize the given pictures where they are of another size")
    add("--invert", action="store_true", help="dark digits on white")
    return parser
