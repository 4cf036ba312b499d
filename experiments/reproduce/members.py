"""Members of one program that are trained in stretches and sampled on the devices, the dead ones left out.

Between stretches their states are on the host: for small nets that costs nothing that counts, and each stretch deals
out the members that are still alive evenly over the devices.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Int

from gan_jax import population
from gan_jax.compiling import jit_training
from gan_jax.gan import GANState
from gan_jax.lab import devices
from gan_jax.metrics import frechet
from gan_jax.population import MakeGAN
from gan_jax.priors import Prior
from gan_jax.training import Examples, to_uint8

PIECE = 500
"""Samples that are drawn at a time, and generator updates in a dispatch at most."""

Alive = Bool[np.ndarray, " members"]
Read = Callable[[Array], Any]
"""uint8 images `[B, H, W, C]` to leaves `[B, ...]`, such as features; a function that JAX can trace."""


class Members:
    """A population whose program has a fixed number of places.

    Attributes:
      states: leaves `[M, ...]`, on the host.
      finite: `[M]`, which members have been finite so far; the others stay in their last finite state.
    """

    def __init__(
        self,
        make_gan: MakeGAN,
        numbers: Mapping[str, Array | Sequence[float]],
        keys: Sequence[Array],
        examples: Examples,
        *,
        places: int,
        batch_size: int = 64,
    ) -> None:
        """Fresh members.

        Args:
          make_gan: one member's numbers to its GAN; the same object for all members that share a program.
          numbers: of every member, leaves `[M, ...]`.
          keys: M keys, from which all that is random in a member derives.
          examples: the data, on the devices.
          places: of the program, at least M; rounded up to a multiple of the devices.
          batch_size: examples per minibatch.
        """
        self._mesh = devices.population_mesh()
        self._places = -(-max(places, len(keys)) // self._mesh.size) * self._mesh.size
        self._make_gan, self._examples, self._batch_size = make_gan, examples, batch_size
        self._numbers = {name: np.asarray(jnp.asarray(values)) for name, values in numbers.items()}
        split = np.stack([jax.random.key_data(jax.random.split(key, 3)) for key in keys])
        init, self._train_keys, self._sample_keys = split[:, 0], split[:, 1], split[:, 2]
        self.finite = np.ones(len(keys), bool)

        places_of, used = self._dealt(self.finite)
        start = jax.jit(population.initial_states, static_argnums=0, static_argnames="mesh")
        states = start(
            make_gan, self._put(self._numbers, places_of), self._keys(init, places_of), examples, mesh=self._mesh
        )
        order = np.argsort(places_of[used])
        self.states: GANState = jax.tree.map(lambda leaf: leaf[used][order], jax.device_get(states))
        self._gan = make_gan({name: values[0].tolist() for name, values in self._numbers.items()})
        one = jax.tree.map(lambda leaf: leaf[:1], examples)
        self._mapping = population.suitable_mapping(self._gan, one, jax.default_backend())

    def advance(self, alive: Alive, stop: int) -> None:
        """Trains the members that are alive and finite until they have had `stop` generator updates."""
        places_of, used = self._dealt(alive & self.finite & (self.states.step < stop))
        if not used.any():
            return
        numbers, states = self._put(self._numbers, places_of), self._put(self.states, places_of)
        rngs, left = self._keys(self._train_keys, places_of), used.copy()
        first = int(self.states.step[places_of[used][0]])
        run = jit_training(population.train_until, donate=["states"])
        for until in [*range(first + PIECE, stop, PIECE), stop]:
            states, _, reached = run(
                self._make_gan, numbers, states, self._examples,
                alive=devices.put(left, devices.member_sharding()), rngs=rngs, stop=until,
                batch_size=self._batch_size, capacity=PIECE, mapping=self._mapping, mesh=self._mesh,
            )  # fmt: skip
            left &= np.asarray(reached)
        members = places_of[used]
        self.finite[members] = left[used]

        def updated(old: np.ndarray, new: np.ndarray) -> np.ndarray:
            changed = np.array(old)
            changed[members] = new[used]
            return changed

        self.states = jax.tree.map(updated, self.states, jax.device_get(states))

    def sampled(self, alive: Alive, n: int, read: Read, variables: Any = None) -> Any:
        """What `read` makes of n samples of each living member, by keys of its own: always of the same latents.

        Args:
          alive: `[M]`.
          n: samples per member: at most `PIECE`, or a multiple of it.
          read: see `Read`; the same object at every call, for which a program is compiled.
          variables: of the generator, leaves `[M, ...]`; None for the last ones.

        Returns:
          Leaves `[living members, n, ...]`, on the host, in the members' order.
        """
        places_of, used = self._dealt(alive)
        variables = self.states.generator.variables if variables is None else variables
        found = _sampled(
            self._gan.generator, self._gan.prior, self._gan.data_range, n, read, self._mesh,
            self._put(variables, places_of), self._keys(self._sample_keys, places_of),
            devices.put(used, devices.member_sharding()),
        )  # fmt: skip
        order = np.argsort(places_of[used])
        return jax.tree.map(lambda leaf: leaf[used][order], jax.device_get(found))

    def _dealt(self, alive: Alive) -> tuple[Int[np.ndarray, " places"], Bool[np.ndarray, " places"]]:
        """Which member is at which place, and which places are used: as many of each device."""
        members, per_device = np.flatnonzero(alive), self._places // self._mesh.size
        rank = np.arange(len(members))
        places = rank % self._mesh.size * per_device + rank // self._mesh.size
        places_of, used = np.zeros(self._places, int), np.zeros(self._places, bool)
        places_of[places], used[places] = members, True
        return places_of, used

    def _put(self, tree: Any, places_of: np.ndarray) -> Any:
        return devices.put(jax.tree.map(lambda leaf: np.asarray(leaf)[places_of], tree), devices.member_sharding())

    def _keys(self, data: np.ndarray, places_of: np.ndarray) -> Array:
        return jax.random.wrap_key_data(self._put(data, places_of))


@functools.partial(jax.jit, static_argnums=range(6))
def _sampled(
    generator: Any,
    prior: Prior,
    data_range: tuple[float, float],
    n: int,
    read: Read,
    mesh: Mesh,
    variables: Any,
    rngs: Array,
    used: Array,
) -> Any:
    """Of generators alone, so that members that differ in all else share the program."""
    size = min(n, PIECE)
    if n % size:
        raise ValueError(f"samples are drawn {PIECE} at a time, got n = {n}: give a multiple, or fewer")

    def member(inputs: Any) -> Any:
        variables, rng, used = inputs

        def piece(rng: Array) -> Any:
            return read(to_uint8(generator.apply(variables, prior(rng, size), None, False), data_range))

        def drawn() -> Any:
            pieces = lax.map(piece, jax.random.split(rng, n // size))
            return jax.tree.map(lambda leaf: leaf.reshape(n, *leaf.shape[2:]), pieces)

        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(drawn))
        return lax.cond(used, drawn, lambda: nothing)

    each = P(population.AXIS)
    spread = jax.shard_map(
        lambda inputs: lax.map(member, inputs), mesh=mesh, in_specs=(each,), out_specs=each, check_vma=False
    )
    return spread((variables, rngs, used))


def distances(features: np.ndarray, reference: frechet.Moments) -> np.ndarray:
    """The Frechet distance of each member's features `[M, n, F]`, infinite where one is not finite; on the CPU.

    Accelerators take longer for the decompositions of one small matrix than for its member's samples.
    """
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        reference = jax.device_get(reference)
        found = np.array([float(_distance(own, reference)) for own in features])
    return np.where(np.isfinite(found), found, np.inf)


@jax.jit
def _distance(features: Array, reference: frechet.Moments) -> Array:
    return frechet.distance(frechet.moments(features), reference)
