"""What a trained GAN shows: conditions on demand, samples in pieces, and the picture of each kind of data."""

import difflib
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import compiling, conditioning, data, images
from gan_jax.data import Dataset
from gan_jax.data.classes import described
from gan_jax.errors import InputError, NotFiniteError
from gan_jax.examples import Examples
from gan_jax.gan import GAN, GANState
from gan_jax.lab import tagging
from gan_jax.lab.job import Job
from gan_jax.nets import recognition
from gan_jax.pieces import map_in_pieces
from gan_jax.training import as_batch, to_uint8
from gan_jax.views import View

COLUMNS = 10
TRIPLES = 3
"""So many times given, made, true are in a row of a picture."""
POINTS = 2500
"""Of points so many are in a picture."""

# `(state, z [N, Z], y [N, ...]) -> uint8 images or float32 points [N, ...]`
Generate = Callable[[GANState, Any, Any], np.ndarray]
# `(seed, n, whether to draw conditions) -> latents [N, Z], conditions [N, ...] or None`
Draw = Callable[[Any, int, bool], tuple[jax.Array, Any]]


def label_of(job: Job, gan: GAN, name: str | int) -> int:
    """The label of the class that the data calls by this name: of digits 3 and 8, the label of 8 is 1.

    Raises:
      InputError: the GAN is not conditioned on labels, or there is no such class.
    """
    if gan.conditioning.kind != "labels":
        raise InputError(f"{job.config.name} is not conditioned on labels: leave out the label")
    text, classes = str(name), job.classes
    if text in classes:
        return classes.index(text)
    # 7 is the folder 07.
    same = [label for label, c in enumerate(classes) if c.isdecimal() and text.isdecimal() and int(c) == int(text)]
    if len(same) != 1:
        near = [] if re.fullmatch(r"[-+.\d]*", text) else difflib.get_close_matches(text, classes, n=1)
        raise InputError(
            f"there is no class {text}{f' (did you mean {near[0]}?)' if near else ''}: this data has "
            f"{described(classes)}"
        )
    return same[0]


def checked(job: Job, gan: GAN, y: Any, n: int) -> Any:
    """Conditions that were given for n samples, as arrays.

    Raises:
      InputError: the GAN takes none, they are not n, or labels are not positions of classes.
    """
    if gan.conditioning.kind == "none":
        raise InputError(f"{job.config.name} is not conditioned: leave out y")
    for leaf in y.values() if isinstance(y, Mapping) else [y]:
        if np.shape(leaf)[:1] != (n,):
            raise InputError(
                f"expected {n} conditions, one per sample, got shape {list(np.shape(leaf))}: give [{n}, ...]"
            )
    if gan.conditioning.kind == "codes" and (not isinstance(y, Mapping) or y.keys() != codes_of(gan).keys()):
        raise InputError(
            f"{job.config.name} has the codes {', '.join(codes_of(gan))}: give y as a dict of them, each [{n}]"
        )
    if gan.conditioning.kind in ("codes", "data"):
        return conditioning.as_arrays(y)
    given = np.asarray(y)
    if given.ndim != 1 or given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= job.num_classes:
        raise InputError(
            f"expected labels y as whole numbers from 0 to {job.num_classes - 1}, positions in the run's classes: give "
            "those, or a label"
        )
    return jnp.asarray(given, jnp.int32)


def written_labels(job: Job, labels: np.ndarray) -> np.ndarray:
    """Labels as the data writes them: int32 `[N]` where all classes are numbers, else their names."""
    numbers = all(c.isdecimal() and str(int(c)) == c and int(c) <= np.iinfo(np.int32).max for c in job.classes)
    return np.array(job.classes, np.int32 if numbers else None)[labels]


def class_rows(num_classes: int) -> np.ndarray:
    """Labels of a grid with one class per row, int32 [rows * COLUMNS]; at most twenty rows, spread over the classes."""
    rows = np.unique(np.linspace(0, num_classes - 1, min(num_classes, 20)).round().astype(np.int32))
    return np.repeat(rows, COLUMNS)


def drawer_of(gan: GAN) -> Draw:
    """Latents and conditions from a seed, as one program: op by op, drawing alone would compile five."""
    options = compiling.quick_options()
    return jax.jit(functools.partial(_drawn, gan), static_argnums=(1, 2), compiler_options=options)


def _drawn(gan: GAN, seed: jax.Array, n: int, conditions: bool) -> tuple[jax.Array, Any]:
    z_rng, y_rng = jax.random.split(jax.random.key(seed))
    return gan.prior(z_rng, n), gan.conditioning.draw(y_rng, n) if conditions else None


def of_seeds(gan: GAN, seeds: Sequence[int]) -> tuple[jax.Array, Any]:
    """Latents `[N, Z]` and conditions as they are drawn, those of each sample decided by its own seed alone.

    They are those of `Trained.sample(1, seed=S)` for each seed S. Conditions made from data are not drawn: None.
    """

    def of_one(seed: jax.Array) -> Any:
        return jax.tree.map(lambda leaf: leaf[0], _drawn(gan, seed, 1, gan.conditioning.kind != "data"))

    # One after the other: under vmap other generators than JAX's default draw all numbers from the first key alone.
    return jax.jit(lambda seeds: jax.lax.map(of_one, seeds))(jnp.asarray(seeds, jnp.uint32))


def held_out_of_seeds(job: Job, gan: GAN, seeds: Sequence[int]) -> tuple[np.ndarray, Any]:
    """As `held_out`, an example for each seed, which it alone decides."""
    dataset = data.load(job.spec, "test")
    rngs = [jax.random.split(jax.random.key(seed))[1] for seed in seeds]
    x, y = zip(*(_chosen(gan, dataset, rng, 1) for rng in rngs), strict=True)
    return np.concatenate(x), jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *y)


def walk(job: Job, gan: GAN, name: str | None, rng: jax.Array, rows: int) -> tuple[jax.Array, Any, int]:
    """Latents, codes and columns of a grid in which one code changes along every row, and nothing else.

    A categorical code takes its classes, a continuous one ten values from -2 to 2, twice as far as in training (Chen et
    al. 2016, arXiv:1606.03657, figure 2). Rows differ in all else.

    Args:
      job, gan: what is walked through.
      name: of the code; None for the first.
      rng: decides latents and the other codes.
      rows: how many.

    Raises:
      InputError: there is no such code.
    """
    name = next(iter(codes_of(gan))) if name is None else name
    check_code(job, gan, name)
    classes = codes_of(gan)[name]
    values = jnp.arange(classes, dtype=jnp.int32) if classes else jnp.linspace(-2.0, 2.0, COLUMNS)
    columns = len(values)
    z_rng, y_rng = jax.random.split(rng)
    z, y = jax.tree.map(
        lambda leaf: jnp.repeat(leaf, columns, axis=0), (gan.prior(z_rng, rows), gan.conditioning.draw(y_rng, rows))
    )
    return z, y | {name: jnp.tile(values, rows)}, columns


def check_code(job: Job, gan: GAN, name: str) -> None:
    """Raises InputError unless the GAN has a code of this name."""
    codes = codes_of(gan)
    if not codes:
        raise InputError(f"{job.config.name} has no codes: leave out --code")
    if name not in codes:
        has = (f"{own} ({f'{classes} classes' if classes else 'continuous'})" for own, classes in codes.items())
        raise InputError(f"{job.config.name} has no code {name}: it has {', '.join(has)}")


def codes_of(gan: GAN) -> dict[str, int]:
    """Of each code of a GAN by name its number of classes, 0 of a continuous one; empty where there are no codes."""
    given = gan.conditioning
    return {} if given.kind != "codes" else {name: part.num_classes for name, part in (given.parts or {}).items()}


def reader_of(gan: GAN) -> Callable[[GANState, np.ndarray], dict[str, np.ndarray]] | None:
    """`(state, uint8 images or float32 points [N, ...]) -> what D reads as each code [N]`; None without codes."""
    if not codes_of(gan):
        return None

    @jax.jit
    def piece(state: GANState, x: jax.Array) -> dict[str, jax.Array]:
        x, y = as_batch(gan, Examples(x))
        return recognition.recognised(gan.discriminator, state.discriminator.variables, x, y)

    def read(state: GANState, x: np.ndarray) -> dict[str, np.ndarray]:
        stacked = map_in_pieces(lambda x: jnp.stack([*piece(state, x).values()], axis=-1), x)
        return dict(zip(jax.eval_shape(piece, state, x[:1]), stacked.T, strict=True))

    return read


def held_out(job: Job, gan: GAN, rng: jax.Array, n: int) -> tuple[np.ndarray, Any]:
    """n test examples of the job's data, as stored, and the conditions made from them."""
    return _chosen(gan, data.load(job.spec, "test"), rng, n)


def _chosen(gan: GAN, dataset: Dataset, rng: jax.Array, n: int) -> tuple[np.ndarray, Any]:
    indices = np.asarray(jax.random.choice(rng, len(dataset), (n,), replace=n > len(dataset)))
    return dataset.x[indices], conditions(gan, dataset, indices, rng)


def conditions(gan: GAN, dataset: Dataset, numbers: np.ndarray, rng: jax.Array) -> Any:
    """The conditions made from the examples of these numbers; rng decides what they leave to chance."""
    examples = jax.tree.map(lambda leaf: jnp.asarray(leaf[numbers]), dataset.examples)
    return as_batch(gan, examples, rng).y


def given_pictures(view: View, y: Any, channels: int) -> np.ndarray:
    """Conditions as uint8 images in the size of what is made from them, `[N, H, W, C]`."""
    maps = np.asarray(to_uint8(view.maps(jnp.asarray(y)), (-1.0, 1.0)))
    return np.broadcast_to(maps, (*maps.shape[:3], channels)) if maps.shape[-1] == 1 else maps[..., :channels]


def side_by_side(*columns: np.ndarray) -> np.ndarray:
    """Images `[N, H, W, C]` of several kinds, in the order of a grid: those of one number beside each other."""
    return np.stack(columns, axis=1).reshape(-1, *columns[0].shape[1:])


def generator_of(gan: GAN, *, check: bool = False) -> Generate:
    """`(state, z [N, Z], y [N, ...]) -> uint8 images or float32 points [N, ...]`, compiled, in pieces that fit.

    Args:
      gan: the GAN.
      check: whether what it returns raises `NotFiniteError`; a picture may show such samples.
    """

    @functools.partial(jax.jit, compiler_options=compiling.quick_options())
    def piece(state: GANState, inputs: tuple[jax.Array, Any], number: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = gan.generate(state, *inputs, jax.random.key(number))
        return to_uint8(x, gan.data_range) if x.ndim == 4 else x, jnp.isfinite(x).all()

    def generate(state: GANState, z: jax.Array, y: Any) -> np.ndarray:
        count = 0

        def next_piece(inputs: Any) -> jax.Array:
            nonlocal count
            count += 1
            x, finite = piece(state, inputs, count)
            if check and not finite:
                raise NotFiniteError(
                    "some samples are not finite (NaN or infinity): choose another checkpoint, or another run"
                )
            return x

        return map_in_pieces(next_piece, (z, y))

    return generate


def interpolations(ends: jax.Array, columns: int) -> jax.Array:
    """Walks between pairs of latents [2 R, Z], as [R * columns, Z]: straight lines, ends included.

    On a normal prior the midpoint of a straight line is shorter than any sample, so each point is rescaled to the
    length that a straight line between the ends' lengths would give it.
    """
    a, b = ends[0::2, None], ends[1::2, None]
    t = jnp.linspace(0, 1, columns)[None, :, None]
    line = (1 - t) * a + t * b
    length = (1 - t) * jnp.linalg.norm(a, axis=-1, keepdims=True) + t * jnp.linalg.norm(b, axis=-1, keepdims=True)
    line *= length / jnp.linalg.norm(line, axis=-1, keepdims=True)
    return line.reshape(-1, ends.shape[-1])


def points_of(dataset: Dataset) -> np.ndarray | None:
    """Points of the data for a picture, float32 [n, D], chosen at random since data may be sorted; None of images."""
    if dataset.is_image:
        return None
    return dataset.x[np.random.default_rng(0).permutation(len(dataset))[:POINTS]]


def picture(
    samples: np.ndarray, reference: np.ndarray | None = None, *, columns: int = COLUMNS, invert: bool = False
) -> np.ndarray:
    """uint8 RGB: a grid of images, or points over the data's (`reference`), where those are given."""
    if samples.ndim == 4:
        return images.grid(samples, columns, invert=invert)
    return images.scatter(samples, reference)


def reference_points(job: Job, say: Callable[[str], object]) -> np.ndarray | None:
    """Points of a job's data, for pictures; None of images, or where the data is no longer there, which is said."""
    if len(job.shape) == 3:
        return None
    try:
        dataset = data.load(job.spec)
        job.check_data(dataset)
    except InputError as error:
        say(f"the picture is without the data: {error}")
        return None
    return points_of(dataset)


def shown(job: Job, gan: GAN, state: GANState, say: Callable[[str], object]) -> np.ndarray:
    """What a GAN makes in one picture, uint8 RGB: a row per class where there are classes, else a hundred samples.

    Of codes the first changes along every row.
    Of conditions that are made from data: examples of the test split, each before the sample that it gave. Of tags:
    pictures of the test split, with the tags that they are given below.

    Raises:
      InputError: samples are not finite, or conditions are made from data that is not there.
    """
    n = COLUMNS**2 if len(job.shape) == 3 else POINTS
    z_rng, y_rng = jax.random.split(jax.random.key(0))
    if job.tags:
        y = held_out(job, gan, y_rng, tagging.SHOWN)[1]
        return tagging.picture(job.tags, y, tagging.drawer(gan, check=True)(state, y, z_rng))
    if gan.conditioning.kind == "data":
        originals, y = held_out(job, gan, y_rng, n // 2)
        samples = generator_of(gan, check=True)(state, gan.prior(z_rng, n // 2), y)
        return picture(side_by_side(originals, samples))
    if codes_of(gan):
        z, y, columns = walk(job, gan, None, jax.random.key(0), n // COLUMNS)
        samples = generator_of(gan, check=True)(state, z, y)
        return picture(samples, reference_points(job, say), columns=columns)
    y = gan.conditioning.draw(y_rng, n)
    if gan.conditioning.kind == "labels":
        y = jnp.asarray(class_rows(job.num_classes))
        y = y if len(job.shape) == 3 else y.repeat(max(1, n // len(y)))
        n = len(y)
    samples = generator_of(gan, check=True)(state, gan.prior(z_rng, n), y)
    return picture(samples, reference_points(job, say))
