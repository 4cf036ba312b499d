"""GANs in JAX as values and pure functions.

    gan = recipes.dcgan(shape=(28, 28, 1))
    state = gan.init(rng, batch)
    state, metrics = jax.jit(gan.train_step)(state, batch, rng)
    images = gan.sample(state, rng, 16)

Conventions, everywhere in the package:

- Images are `[B, H, W, C]`: inside a GAN float32 in `GAN.data_range` ([-1, 1] where the generator ends in tanh, [0, 1]
  where it ends in sigmoid), outside (data sets, grids, files) uint8. Points are float32 `[B, D]`, unscaled.
- Labels are int32 `[B]`; a condition may be any array `[B, ...]`.
- Latents are `[B, Z]`, logits `[B]` and never `[B, 1]`.
- A batch's leaves are `[n_critic, B, ...]`: fresh data for each discriminator update.
- Keys are arguments, never state. `step` counts generator updates.
- Names are the papers': z, x, y, real, fake, n_critic, clip; g_ and d_ for the two players.
"""

import importlib
from typing import TYPE_CHECKING, Any

from gan_jax import (
    conditioning,
    losses,
    penalties,
    population,
    priors,
    recipes,
    rejection,
    schedules,
    sharding,
    training,
    transforms,
    typing,
)
from gan_jax.conditioning import Conditioning
from gan_jax.errors import InputError
from gan_jax.gan import GAN, Batch, GANState, Player
from gan_jax.losses import Loss
from gan_jax.transforms import clip_params, scheduled

if TYPE_CHECKING:
    from gan_jax import checkpoint, compiling, data, images, lab, metrics, nets
    from gan_jax.lab.loading import load

__all__ = [
    "GAN",
    "Batch",
    "Conditioning",
    "GANState",
    "InputError",
    "Loss",
    "Player",
    "checkpoint",
    "clip_params",
    "compiling",
    "conditioning",
    "data",
    "images",
    "lab",
    "load",
    "losses",
    "metrics",
    "nets",
    "penalties",
    "population",
    "priors",
    "recipes",
    "rejection",
    "scheduled",
    "schedules",
    "sharding",
    "training",
    "transforms",
    "typing",
]


def __getattr__(name: str) -> Any:
    """Imports a module that the core does not need on first use: importing `lab` takes a second."""
    if name == "load":
        from gan_jax.lab.loading import load

        return load
    if name in __all__:
        return importlib.import_module(f"gan_jax.{name}")
    raise AttributeError(f"module 'gan_jax' has no attribute {name!r}")
