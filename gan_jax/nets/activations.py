"""Activations, as functions that a net's attribute can be and that can be pickled with it.

JAX's own are compiled functions, which pickle does not find again by their names.
"""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.typing import Activation


def leaky_relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """LeakyReLU with slope 0.2, as in every GAN since DCGAN (Flax's default is 0.01)."""
    return nn.leaky_relu(x, 0.2)


def relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """`flax.linen.relu`, as an attribute of a net that can be pickled."""
    return nn.relu(x)


def sigmoid(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """`flax.linen.sigmoid`, as an attribute of a net that can be pickled."""
    return nn.sigmoid(x)


def tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """`jax.numpy.tanh`, as an attribute of a net that can be pickled."""
    return jnp.tanh(x)


def absolute(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """`|x|`, which keeps the size of every gradient (Anil et al. 2019, arXiv:1811.05381, section 4.1)."""
    return jnp.abs(x)


ACTIVATIONS: Mapping[Activation, Callable[[Array], Array]] = {"relu": relu, "leaky_relu": leaky_relu, "abs": absolute}
