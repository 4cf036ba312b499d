"""GANs in JAX as values and pure functions.

    gan = recipes.wgan(shape=(28, 28, 1))
    state = gan.init(rng, batch)
    state, metrics = jax.jit(gan.train_step)(state, batch, rng)
    images = gan.sample(state, rng, 16)

Conventions, everywhere in the package:

- Images are `[B, H, W, C]`, float32 in `GAN.data_range` inside: [-1, 1] where the generator ends in tanh, [0, 1] where
  it ends in sigmoid. What leaves (grids, files) is uint8. Points are float32 `[B, D]`, as they are.
- Labels are int32 `[B]`; a condition may be any array `[B, ...]`.
- Latents are `[B, Z]`, logits `[B]` and never `[B, 1]`.
- A batch's leaves are `[n_critic, B, ...]`: fresh data for each discriminator update.
- Keys are arguments, never state. `step` counts generator updates.
- Names are the papers': z, x, y, real, fake, n_critic, clip; g_ and d_ for the two players.
"""

from gan_jax import losses, penalties, population, priors, recipes, rejection, sharding, training, transforms
from gan_jax.errors import InputError
from gan_jax.gan import GAN, Batch, GANState, Player
from gan_jax.losses import Loss
from gan_jax.transforms import clip_params

__all__ = [
    "GAN",
    "Batch",
    "GANState",
    "InputError",
    "Loss",
    "Player",
    "clip_params",
    "losses",
    "penalties",
    "population",
    "priors",
    "recipes",
    "rejection",
    "sharding",
    "training",
    "transforms",
]
