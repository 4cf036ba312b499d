"""Recognition: a head that reads the generator's codes off what a discriminator sees (InfoGAN)."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.inits import lecun_normal
from gan_jax.typing import Condition, Data, Initializer, Logits


class Recognise(nn.Module):
    """h `[B, F]` to logits `[B]`, beside Q(c | x), which reads each code off h.

    InfoGAN's lower bound of the mutual information I(c; G(z, c)) is E log Q(c | x) and a constant (Chen et al. 2016,
    arXiv:1606.03657, eq. 5). Minus log Q(c | x), `[B]` for each code and weighted, is sown into the collection
    "losses", so that both players maximise the bound; zero for examples whose code is unknown
    (`gan_jax.conditioning.code`), such as real ones.

    Q is a layer of leaky ReLUs, then a softmax for each categorical code, and for each continuous one a Gaussian whose
    mean and deviation (by its logarithm) depend on x.

    Attributes:
      codes: of each code by its name in y the number of classes, 0 of a continuous one. The others in y are ignored.
      weight: of the term of each categorical code, lambda.
      continuous_weight: of that of each continuous one.
      hidden: units of Q's own layer.
      kernel_init: initialiser of every weight.
    """

    codes: Mapping[str, int]
    weight: float = 1.0
    continuous_weight: float = 0.1
    hidden: int = 128
    kernel_init: Initializer = lecun_normal()

    @nn.compact
    def __call__(self, h: Float[Array, "batch features"], y: Condition, train: bool) -> Logits:
        seen = leaky_relu(nn.Dense(self.hidden, kernel_init=self.kernel_init)(h))
        for name, classes in self.codes.items():
            found = nn.Dense(classes or 2, kernel_init=self.kernel_init, name=f"read_{name}")(seen)
            known = y[name] == y[name] if classes == 0 else y[name] >= 0
            code = jnp.where(known, y[name], 0)  # Of NaN the gradient would be NaN, whatever its weight.
            if classes:
                term = self.weight * optax.softmax_cross_entropy_with_integer_labels(found, code)
                self.sow("intermediates", name, jnp.argmax(found, axis=-1))
            else:
                mean, log_deviation = found[:, 0], found[:, 1]
                term = -self.continuous_weight * jax.scipy.stats.norm.logpdf(code, mean, jnp.exp(log_deviation))
                self.sow("intermediates", name, mean)
            self.sow("losses", name, jnp.where(known, term, 0))
        return nn.Dense(1, kernel_init=self.kernel_init)(h)[:, 0]


def recognised(discriminator: Any, variables: Any, x: Data, y: Condition) -> dict[str, Array]:
    """What a discriminator's Q reads in x, in inference mode, by code: a class int32 `[B]`, or a mean float32 `[B]`.

    Args:
      discriminator: a module with the head `Recognise`.
      variables: its own, such as `state.discriminator.variables`.
      x: data `[B, *shape]` in `GAN.data_range`.
      y: any condition of x, such as that of real examples; it is not looked at.
    """
    _, after = discriminator.apply(variables, x, y, False, mutable=["intermediates"])
    sown = jax.tree.leaves_with_path(after["intermediates"])
    return {path[-2].key: leaf for path, leaf in sown}
