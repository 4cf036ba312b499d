"""Schedules: numbers as functions of the step, for everything that only scales.

    gan = recipes.r3gan(shape, lr=schedules.cosine(2e-4, 5e-5, steps=10_000), gamma=schedules.linear(10.0, 1.0, 5000))

A schedule is any function of the number of generator updates so far (int32 scalar). Recipes take one wherever they take
a number: optimizers (`gan_jax.transforms.scheduled`), penalties and the generator's average evaluate it inside the
compiled step, so one program runs the whole schedule and a resumed run continues it exactly. Ends may be traced
scalars, so the members of a population may differ in them. Schedules can be pickled, and span at least one step, else
they raise ValueError.
"""

import functools
import math
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_jax.typing import Number, Scalar, Schedule, Step

End = float | Scalar


def at(number: Number, step: Step) -> float | Float[Array, ""]:
    """The value of a number at a step: what a schedule returns there, anything else unchanged."""
    return number(jnp.asarray(step, jnp.int32)) if callable(number) else number


def linear(start: End, end: End, steps: int) -> Schedule:
    """From `start` at step 0 in a straight line to `end` at `steps`, and `end` from there on."""
    return functools.partial(_linear, start, end, _positive(steps))


def cosine(start: End, end: End, steps: int) -> Schedule:
    """From `start` at step 0 to `end` at `steps` along half a period of a cosine, and `end` from there on.

    Loshchilov & Hutter 2017 (arXiv:1608.03983, eq. 5), without restarts.
    """
    return functools.partial(_cosine, start, end, _positive(steps))


def stages(values: Sequence[End], steps: int) -> Schedule:
    """Each of the values for an equal part of `steps`, one after the other, and the last from there on."""
    if not values:
        raise ValueError("a schedule in stages has a value for each stage: give at least one")
    steps = _positive(steps)
    starts = tuple(math.ceil(k * steps / len(values)) for k in range(1, len(values)))
    return functools.partial(_stages, tuple(values), starts)


def _linear(start: End, end: End, steps: int, step: Int[Array, ""]) -> Scalar:
    return _f32(start) + (_f32(end) - _f32(start)) * _progress(step, steps)


def _cosine(start: End, end: End, steps: int, step: Int[Array, ""]) -> Scalar:
    return _f32(end) + (_f32(start) - _f32(end)) * (1 + jnp.cos(jnp.pi * _progress(step, steps))) / 2


def _stages(values: tuple[End, ...], starts: tuple[int, ...], step: Int[Array, ""]) -> Scalar:
    return jnp.stack([_f32(v) for v in values])[jnp.sum(step >= jnp.asarray(starts, jnp.int32))]


def _positive(steps: int) -> int:
    if steps < 1:
        raise ValueError(f"a schedule takes at least one step, got steps={steps}")
    return steps


def _f32(value: End) -> Scalar:
    """As an array: so a member of a population, whose ends are traced, has the bits of a run whose ends are floats."""
    return jnp.asarray(value, jnp.float32)


def _progress(step: Int[Array, ""], steps: int) -> Scalar:
    return jnp.clip(step / jnp.float32(steps), 0.0, 1.0)
