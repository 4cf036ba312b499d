"""How one run lies over devices: its minibatches and latents divided between them, all else whole on each of them.

The data too: every device gathers its own rows of a minibatch, from indices that all of them draw, and nothing but
gradients travels. So (rng, step) decides the minibatch, whatever the number of devices.
"""

import dataclasses
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gan_jax import sharding
from gan_jax.errors import InputError
from gan_jax.gan import GAN
from gan_jax.lab import devices

_AXIS = "data"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The devices that train one GAN.

    Attributes:
      mesh: of one axis; None for one device, JAX's default: then nothing is placed.
      note: what the user should know of the choice.
    """

    mesh: Mesh | None = None
    note: str | None = None

    @property
    def devices(self) -> int:
        """How many."""
        return 1 if self.mesh is None else self.mesh.size

    @property
    def whole(self) -> NamedSharding | None:
        """Of what every device holds: parameters, data, keys, metrics."""
        return None if self.mesh is None else NamedSharding(self.mesh, P())

    @property
    def streamed(self) -> NamedSharding | None:
        """Of minibatches `[steps, n_critic, B, ...]` that are sent from the host."""
        return None if self.mesh is None else NamedSharding(self.mesh, P(None, None, _AXIS))

    def spread(self, gan: GAN) -> GAN:
        """The GAN whose minibatches are divided between the devices."""
        return gan if self.mesh is None else sharding.data_parallel(gan, NamedSharding(self.mesh, P(_AXIS)))


def placed(tree: Any, sharding: NamedSharding | None) -> Any:
    """Host arrays, the same in every process, laid out; as they are where there is nothing to lay out."""
    return tree if sharding is None else devices.put(tree, sharding)


def chosen(asked: int | Literal["all"] | None, batch_size: int, accumulate: int = 1, *, fixed: bool = False) -> Layout:
    """The layout of what was asked for.

    Args:
      asked: devices of each process; None for all of an accelerator's that divide the minibatch, and one of a CPU's,
        whose cores one device uses already.
      batch_size: examples per minibatch.
      accumulate: equal parts of a minibatch that come one after the other.
      fixed: whether the size can't be changed any more.

    Raises:
      InputError: there are not so many devices, or they don't divide the minibatch.
    """
    processes = jax.process_count()
    counts = [sum(device.process_index == k for device in jax.devices()) for k in range(processes)]
    there = min(counts)
    fitting = [k for k in range(1, there + 1) if batch_size % (k * processes * accumulate) == 0]
    each = " in each process" if processes > 1 else ""
    if isinstance(asked, int) and asked > there:
        raise InputError(f"--devices {asked}: there {_are(there)}{each}, ask for no more")
    wanted = there if asked == "all" else 1 if asked is None and jax.default_backend() == "cpu" else asked or there
    used, note = wanted, None
    if wanted not in fitting:
        sizes = _sizes(batch_size, wanted * processes * accumulate)
        parts = f", in {accumulate} parts each" if accumulate > 1 else ""
        cant = f"a minibatch of {batch_size} can't be divided equally between {wanted * processes} devices{parts}"
        if asked is not None or not fitting:
            ways = [f"--batch-size {sizes}"] * (not fixed) + [f"--devices {max(fitting, default=0)}"] * bool(fitting)
            raise InputError(f"{cant}: choose {', or '.join(ways or ['fewer processes'])}")
        used = fitting[-1]
        note = f"training on {used} of {there} devices{each}: {cant}, one of {sizes} could"
    if used * processes == 1:
        return Layout(None, note)
    mine = [[device for device in jax.devices() if device.process_index == k][:used] for k in range(processes)]
    return Layout(Mesh(np.array(mine).reshape(-1), (_AXIS,)), note)


def _sizes(batch_size: int, unit: int) -> str:
    """The nearest sizes that a number divides."""
    below = batch_size // unit * unit
    return f"{below} or {below + unit}" if below else str(unit)


def _are(count: int) -> str:
    return "is only 1 device" if count == 1 else f"are only {count} devices"
