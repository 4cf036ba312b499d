"""A recipe whose annotations are text, as in every module that begins with this import."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from gan_jax import GAN, recipes
from gan_jax.typing import Bounds, Decay, Number, Rate, Shape


def textual(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 1e-4,
    ema: Decay | None = None,
    strength: Number = 2.0,
    size: Annotated[int, Bounds(4, 64)] = 8,
    activation: Literal["relu", "tanh"] = "relu",
    hook: Any = None,
) -> GAN:
    return recipes.gan(shape, num_classes, lr=lr, ema=ema, width=size)
