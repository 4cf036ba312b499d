"""Optax transforms that optax does not have."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gan_jax.schedules import at
from gan_jax.typing import Number, Step


def scheduled(
    make: Callable[..., optax.GradientTransformation], *numbers: Number
) -> optax.GradientTransformationExtraArgs:
    """`make(*numbers)`, an optimizer whose numbers may be schedules of the GAN's step.

        scheduled(optax.adam, schedules.cosine(2e-4, 0.0, steps=10_000), 0.5, 0.999)

    Optax's own schedules count the optimizer's updates, n_critic times as many for a discriminator, and its optimizers
    accept one for the learning rate only. Here the step comes as the extra argument `step`, which `GAN` passes to its
    optimizers, and `make` is called at each update with the values of that step: nothing is added to the optimizer's
    state, so states of runs with and without schedules have the same structure.

    Args:
      make: `(*values) -> transformation`, whose state must not depend on the values.
      numbers: floats, traced scalars or schedules, in the order of make's arguments.

    Returns:
      The transformation. Unlike optax's own, which are closures, it can be pickled where `make` and the numbers can.

    Raises:
      TypeError: at update time, when there are schedules and no `step` is passed.
    """

    return optax.GradientTransformationExtraArgs(
        functools.partial(_init, make, numbers), functools.partial(_update, make, numbers)
    )


def _made(make: Callable[..., Any], numbers: tuple[Number, ...], step: Step) -> optax.GradientTransformationExtraArgs:
    return optax.with_extra_args_support(make(*(at(number, step) for number in numbers)))


def _init(make: Callable[..., Any], numbers: tuple[Number, ...], params: optax.Params) -> optax.OptState:
    return _made(make, numbers, 0).init(params)


def _update(
    make: Callable[..., Any],
    numbers: tuple[Number, ...],
    updates: optax.Updates,
    state: optax.OptState,
    params: optax.Params | None = None,
    **extra: Any,
) -> tuple[optax.Updates, optax.OptState]:
    if "step" not in extra and any(callable(number) for number in numbers):
        raise TypeError("this optimizer has schedules: pass it the step, update(grads, state, params, step=n)")
    return _made(make, numbers, extra.get("step", 0)).update(updates, state, params, **extra)


def clip_params(c: float | jax.Array) -> optax.GradientTransformation:
    """Keep every parameter in [-c, c] (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1, line 7).

    Put it *last* in a chain: it rewrites the update u so that what the parameter becomes, `optax.apply_updates(p, u)`,
    is clip(p + u, -c, c). Applied to the paper's `w <- clip(w + lr * RMSProp(w, g), -c, c)` the critic is therefore
    always inside the box when it is evaluated; the authors' code clips *before* the update, and may leave it.

    The sum p + (clip(p + u) - p) would overshoot c by an ulp about once in a hundred times. Where it does, the update
    is moved one representable number inwards, so |p| <= c holds exactly, in the parameter's own dtype (compare
    with `np.float32(c)`: float32(0.01) < 0.01). A p that is already inside the box is changed by no more than an ulp
    beyond clipping; one that starts far outside lands inside, at c to within an ulp of p.

    All parameters are clipped alike, biases and normalisation parameters included, as in the authors' code: a
    BatchNorm scale starts at 1 and would be cut to c at the first update, which is why the critics of `gan_jax.recipes`
    that are clipped have no normalisation parameters. To exclude some leaves wrap it in `optax.masked`.

    Args:
      c: half the width of the box, > 0; a float or a traced scalar (a schedule through `scheduled`).

    Raises:
      ValueError: at update time, when the chain is called without `params`.
    """

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        if params is None:
            raise ValueError("clip_params needs the parameters: call optimizer.update(grads, state, params)")

        def project(p: jax.Array, u: jax.Array) -> jax.Array:
            bound = jnp.asarray(c, p.dtype)
            u = jnp.clip(p + u, -bound, bound) - p
            return jnp.where(jnp.abs(p + u) > bound, jnp.nextafter(u, -jnp.inf * jnp.sign(p + u)), u)

        return jax.tree.map(project, params, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
