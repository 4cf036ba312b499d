"""Devices and placement: memory, meshes, arrays on all devices and back, several processes. Their only home."""

import os
from typing import Any

import jax
import numpy as np
import psutil
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gan_jax import population

# Part of a device's memory (or of the host's, on CPUs) that may be planned for.
_USABLE = 0.8


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def described(used: int) -> dict[str, Any]:
    """The devices: platform, model, how many are used, how many there are, and of how many processes."""
    first, here = jax.devices()[0], {"present": jax.device_count(), "processes": jax.process_count()}
    return {"platform": first.platform, "model": first.device_kind, "used": used, **here}


def memory_limit() -> int | None:
    """Bytes of an accelerator's own memory; None of CPUs, which have the host's."""
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def total_memory() -> int:
    """Bytes that a device has: its own, or those of the machine."""
    return memory_limit() or psutil.virtual_memory().total


def usable_memory() -> float:
    """Bytes that a device may use; CPU devices share what the host has available."""
    limit = memory_limit()
    return _USABLE * (limit or psutil.virtual_memory().available / jax.local_device_count())


def population_mesh() -> Mesh:
    """All devices, of all processes, as one axis of members."""
    return Mesh(np.array(jax.devices()), (population.AXIS,))


def member_sharding() -> NamedSharding:
    """Leaves `[members, ...]` divided between all devices."""
    return NamedSharding(population_mesh(), P(population.AXIS))


def replicated() -> NamedSharding:
    """Whole on every device."""
    return NamedSharding(population_mesh(), P())


def put(tree: Any, sharding: NamedSharding) -> Any:
    """Host arrays, the same in every process, placed as the sharding says."""

    def placed(x: Any) -> jax.Array:
        if isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(placed(jax.random.key_data(x)), impl=jax.random.key_impl(x))
        return jax.make_array_from_callback(np.shape(x), sharding, np.asarray(x).__getitem__)

    return jax.tree.map(placed, tree)


def local(tree: Any) -> Any:
    """What is whole on every device, as this process's first device has it: for what one process does alone."""
    return jax.tree.map(lambda x: x.addressable_data(0), tree)


def fetch(tree: Any) -> Any:
    """Arrays of any devices, of any process, as NumPy arrays in every process."""
    return multihost_utils.process_allgather(tree, tiled=True) if jax.process_count() > 1 else jax.device_get(tree)


def max_over_processes(*values: float) -> list[float]:
    """The largest of each value in any process: all must go by the same number, or the next program never ends."""
    if jax.process_count() == 1:
        return list(values)
    return multihost_utils.process_allgather(np.asarray(values, np.float32)).max(axis=0).tolist()


def wait_for_each_other() -> None:
    """Returns in each process when all have come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("wait_for_each_other")
