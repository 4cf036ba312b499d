"""A generator as a program that needs only JAX: StableHLO for any number of samples, and the lines that load it."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from gan_jax import priors
from gan_jax.data import classes
from gan_jax.gan import GAN, GANState
from gan_jax.lab.job import Job
from gan_jax.training import as_batch, to_uint8

PLATFORMS = ("cpu", "cuda", "tpu")

LIMIT = "jax_traceback_in_locations_limit"
"""JAX's setting of how many lines of Python a program names beside each operation."""


def inputs_of(job: Job, gan: GAN) -> tuple[Any, Any]:
    """The shapes and dtypes of z and y for one sample, `[1, ...]`; of y None where the GAN is not conditioned."""

    def one() -> tuple[Any, Any]:
        rng, conditioning = jax.random.key(0), gan.conditioning
        if conditioning.kind == "data":
            y = as_batch(gan, jax.tree.map(jnp.asarray, job.example)).y
        else:
            y = conditioning.draw(rng, 1)
        return gan.prior(rng, 1), y

    return jax.eval_shape(one)


def program(job: Job, gan: GAN, state: GANState) -> bytes:
    """What `jax.export.deserialize` reads: `(z [n, ...], y [n, ...]) -> uint8 images or float32 points`, for any n.

    Without a condition it takes z alone. A generator that draws noise of its own draws the same at each call.
    """
    z, y = inputs_of(job, gan)

    def generate(z: Any, y: Any = None) -> Any:
        # The key of the first piece of `sampling.generator_of`.
        x = gan.generate(state, z, y, jax.random.key(1))
        return to_uint8(x, gan.data_range) if x.ndim == 4 else x

    (n,) = export.symbolic_shape("n")
    anys = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((n, *leaf.shape[1:]), leaf.dtype), (z, y))
    arguments = anys[:1] if y is None else anys
    with _without_places():
        return bytes(export.export(jax.jit(generate), platforms=PLATFORMS)(*arguments).serialize())


@contextlib.contextmanager
def _without_places() -> Iterator[None]:
    """What is lowered in this block does not say in which files of this machine its code lay."""
    kept = getattr(jax.config, LIMIT)
    jax.config.update(LIMIT, 0)
    try:
        yield
    finally:
        jax.config.update(LIMIT, kept)


def loader(job: Job, gan: GAN) -> str:
    """The source of load.py, whose `sample` draws what `Trained.sample` draws.

    Where the prior is neither normal nor uniform, latents are for the caller to give.
    """
    drawn = _drawn(gan)
    if drawn is None:
        arguments = "z" if gan.conditioning.kind == "none" else "z, y"
        usage, lines, extra = f"sample({arguments})", [f"def sample({arguments}):"], ""
        lines += [f"    return generate({arguments})"]
        return _LOADER.format(usage=usage, extra=extra, sample="\n".join(lines))
    split = "    z_rng, y_rng = jax.random.split(jax.random.key(seed))"
    if gan.conditioning.kind == "none":
        lines = ["def sample(n, seed=0):", split, f"    return generate({drawn})"]
        return _LOADER.format(usage="sample(16)", extra="", sample="\n".join(lines))
    if gan.conditioning.kind == "labels":
        known = classes.described(job.classes)
        lines = [
            "def sample(n, label=None, seed=0):",
            split,
            '    y = jax.random.randint(y_rng, (n,), 0, len(CLASSES), "int32")',
            "    if label is not None:",
            "        if str(label) not in CLASSES:",
            f'            raise ValueError(f"there is no class {{label}}: this data has " + {known!r})',
            "        y = y * 0 + CLASSES.index(str(label))",
            f"    return generate({drawn}, y)",
        ]
        usage = f"sample(16, label={job.classes[-1]!r})"
        return _LOADER.format(usage=usage, extra=f"CLASSES = {list(job.classes)}\n", sample="\n".join(lines))
    lines = [
        "def sample(y, seed=0):",
        "    n = len(jax.tree.leaves(y)[0])",
        split,
        f"    return generate({drawn}, y)",
    ]
    return _LOADER.format(usage="sample(y)", extra="", sample="\n".join(lines))


_LOADER = '''"""Samples with jax and flatbuffers alone: import load; load.{usage}"""

import pathlib

import jax
from jax import export

program = pathlib.Path(__file__).with_name("generator.stablehlo").read_bytes()
generate = jax.jit(export.deserialize(bytearray(program)).call)
{extra}

{sample}
'''


def _drawn(gan: GAN) -> str | None:
    """The latents of n samples, drawn by z_rng, as Python that needs only jax; None of a prior of somebody's own."""
    prior = gan.prior
    if not isinstance(prior, functools.partial):
        return None
    forms = {
        getattr(priors.normal(1), "func"): 'jax.random.normal(z_rng, (n, {}), "float32")',  # noqa: B009
        getattr(priors.uniform(1), "func"): 'jax.random.uniform(z_rng, (n, {}), "float32", -1)',  # noqa: B009
    }
    return forms[prior.func].format(*prior.args) if prior.func in forms else None


def described(gan: GAN) -> str:
    """The distribution of z, as mathematics writes it."""
    drawn = _drawn(gan)
    if drawn is None:
        return "a distribution of its author's own"
    return "N(0, 1) in each coordinate" if "normal" in drawn else "U(-1, 1) in each coordinate"
