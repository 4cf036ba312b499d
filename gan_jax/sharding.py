"""One GAN on many devices: minibatches and latents spread over a mesh axis, by the compiler."""

import dataclasses
import math
from typing import Any

import jax
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array

from gan_jax.gan import GAN


@dataclasses.dataclass(frozen=True, eq=False)
class _Spread:
    """A module whose first input is laid out over devices."""

    module: Any
    sharding: Any

    def init_with_output(self, *args: Any, **kwargs: Any) -> Any:
        return self.module.init_with_output(*args, **kwargs)

    def apply(self, variables: Any, inputs: Array, *args: Any, **kwargs: Any) -> Any:
        return self.module.apply(variables, self._laid_out(inputs), *args, **kwargs)

    def _laid_out(self, inputs: Array) -> Array:
        # Op by op there is no compiler to ask: what is computed lies where its operands do. Nor is there a layout of
        # five examples over eight devices; so few need none.
        if not isinstance(inputs, jax.core.Tracer) or inputs.shape[0] % _parts(self.sharding):
            return inputs
        return lax.with_sharding_constraint(inputs, self.sharding)


def _parts(sharding: NamedSharding) -> int:
    """Into how many parts the first axis is divided."""
    axes = sharding.spec[0] if sharding.spec else None
    names = axes if isinstance(axes, tuple) else () if axes is None else (axes,)
    return math.prod(sharding.mesh.shape[name] for name in names)


def auto_axes(mesh: Mesh) -> Mesh:
    """The same devices with axes that the compiler may use: `jax.make_mesh` makes Explicit ones."""
    return Mesh(mesh.devices, mesh.axis_names)


def data_parallel(gan: GAN, sharding: NamedSharding) -> GAN:
    """The same GAN with the inputs `[B, ...]` of both nets laid out by `sharding`, under `jax.jit`.

    The compiler does the rest: it keeps the layout of parameters (usually replicated) and averages gradients over
    devices; BatchNorm's statistics are those of the global batch. Keys are global too, so results are those of one
    device, up to the order of sums. Without the constraint on latents every device would compute all fakes, since
    nothing ties a fake to a device. Batches that the devices do not divide, and what is computed without `jax.jit`,
    such as a few samples, stay where their operands are.

    Args:
      gan: without an axis_name.
      sharding: that of a batch, such as `NamedSharding(mesh, P("data"))`; of a mesh with Auto or Explicit axes.
    """
    assert isinstance(sharding.mesh, Mesh)
    sharding = NamedSharding(auto_axes(sharding.mesh), sharding.spec)
    return gan.replace(generator=_Spread(gan.generator, sharding), discriminator=_Spread(gan.discriminator, sharding))
