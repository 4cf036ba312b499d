"""Types that the package shares: arrays by what their axes mean, and numbers by what a recipe may do with them.

A recipe's signature is the one declaration of its options. An argument annotated with `Number`, or with one of the
bounded kinds below, only scales: it may be a float, a traced scalar (one per member of a population), or a schedule.
Any other argument changes shapes or code. `Bounds` in an annotation says which values the command line accepts.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import numpy as np
from jaxtyping import Array, Float, Int, Num, PRNGKeyArray

Data = Float[Array, "batch *shape"]
"""Images `[B, H, W, C]` in `GAN.data_range`, or points `[B, D]`."""
Images = Float[Array, "batch height width channels"]
Latents = Num[Array, "batch z"]
"""`[B, Z]`, floats, or integers where the prior draws such."""
Logits = Float[Array, "batch *patches"]
"""`[B]`; of a discriminator of patches `[B, rows, columns]`."""
Scalar = Float[Array, ""]
Condition = Any
"""A pytree of arrays `[B, ...]`: labels int32 `[B]`, tags, images, or a dict of them; None for an unconditional GAN."""
Labels = Int[Array, " batch"]
Params = Any
Key = PRNGKeyArray

Step = int | Int[Array, ""] | Int[np.ndarray, ""]
"""A number of generator updates."""
Shape = tuple[int, ...]
"""Shape of one example: `(H, W, C)` of an image, `(D,)` of a point."""
Axes = tuple[Any, ...]
"""Lengths of leading axes: numbers, or JAX's symbols where a program is exported for any."""
Critic = Callable[[Data], Logits]
"""A discriminator closed over its parameters and the real batch's condition."""
Initializer = Callable[..., Array]

Schedule = Callable[[Int[Array, ""]], float | Scalar]
"""A number as a function of the step, see `gan_jax.schedules`."""
Number = float | Scalar | Schedule
"""A number that only scales: a float, a traced scalar, or a schedule."""


class Bounds(NamedTuple):
    """Which values an option accepts: low <= value < high, or low < value < high with `above`.

    For integers `high` is included.
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False


Rate = Annotated[Number, Bounds(0, 10, above=True)]
"""A learning rate, per step."""
Decay = Annotated[Number, Bounds(0, 1)]
"""Decay of a running average, per step."""
Weight = Annotated[Number, Bounds(0)]
"""Weight of a term of a loss."""
Positive = Annotated[Number, Bounds(0, above=True)]
Share = Annotated[float, Bounds(0, 1)]
"""A static number in [0, 1), such as a rate of dropout."""
Size = Annotated[int, Bounds(1, 2**16)]
Width = Annotated[int, Bounds(4, 2**16)]
Widths = Annotated[tuple[int, ...], Bounds(1, 2**16)]
"""Channels of every layer."""
Depth = Annotated[int, Bounds(1, 100)]
Count = Annotated[int, Bounds(1, 10_000)]
Net = Literal["dcgan", "resnet"]
Dtype = Literal["float32", "bfloat16"]
Norm = Literal["batch", "instance"]
"""Whose statistics normalise a layer: the minibatch's, or each image's own."""
Activation = Literal["relu", "leaky_relu", "abs"]
"""See `gan_jax.nets.activations.ACTIVATIONS`."""


class Metrics(TypedDict, total=False):
    """What a step reports: scalars, or arrays `[steps]` where one call takes many steps.

    `d_step` and `train_step` give the first seven, of the last minibatch before its update; `g_step` and `train_step`
    the last three.

    Keys:
      d_loss: discriminator's loss with the terms that D sows into "losses", without the penalty.
      penalty: the penalty, weighted.
      estimate: of the divergence between data and generator, from the adversarial part of d_loss alone, see
        `Loss.estimate`.
      d_real: mean score (`Loss.score`) of real examples.
      d_fake: mean score of generated examples.
      saturated: share of D's outputs, half of it from real examples, with which its loss hardly changes: by less than
        a hundredth of what an undecided D's does. With cross-entropy these are probabilities above .99 of real and
        below .01 of generated examples; of a critic whose loss is linear there are none.
      d_grad: Euclidean norm of the gradient by D's parameters, with the penalty, before its optimizer sees it.
      g_loss: generator's loss with the terms that both nets sow.
      d_fake_after: mean score of generated examples after the discriminator's update and before the generator's.
      g_grad: norm of the gradient by G's parameters. Both are -1 at a step that was told not to take them.
    """

    d_loss: Scalar
    penalty: Scalar
    estimate: Scalar
    d_real: Scalar
    d_fake: Scalar
    saturated: Scalar
    d_grad: Scalar
    g_loss: Scalar
    d_fake_after: Scalar
    g_grad: Scalar
