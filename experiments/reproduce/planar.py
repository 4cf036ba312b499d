"""Many small GANs of points in the plane as one program, and a search among settings on seeds of its own.

A method is a function from a member's numbers (rates, weights) to its GAN. All settings on all targets and seeds are
members of one program: what is not vectorised over targets, settings and seeds is only the data, one array per target.
The settings are compared on seeds that are not used again, so that the numbers of the best one are not those by
which it was chosen.
"""

import dataclasses
import functools
import itertools
import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Float32, Int, UInt8

from experiments.reproduce import transport
from gan_jax import training
from gan_jax.compiling import compiler_options
from gan_jax.gan import GAN
from gan_jax.lab import devices
from gan_jax.training import Examples
from gan_jax.typing import Scalar

Numbers = Mapping[str, float]
"""A setting: a member's numbers by name."""
MakeGAN = Callable[[Mapping[str, Any]], GAN]
Draw = Callable[[np.random.Generator, int], Float32[np.ndarray, "n 2"]]
"""n independent points of a target."""

_POINTS = 50_000
_SEARCH_SEED = 1000
_MANY = 1e10
_AXIS = "members"


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How methods are searched and measured.

    Attributes:
      steps: generator updates of every run.
      batch_size: points per minibatch.
      stops: how often samples are taken, at equal distances, besides before training.
      search_seeds: seeds on which settings are compared.
      search_samples: points by which they are compared, at most `samples`.
      samples: points of every sample.
    """

    steps: int
    batch_size: int
    stops: int
    search_seeds: int
    search_samples: int
    samples: int


def sgd_or_rmsprop(rate: float | Scalar, rms: float | Scalar) -> optax.GradientTransformation:
    """SGD where `rms` is 0, RMSProp (decay .99, eps outside the root) where it is 1: members of one program differ."""
    scaled = optax.scale_by_rms(decay=0.99, eps=1e-8, eps_in_sqrt=False)

    def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        normalised, state = scaled.update(gradients, state, params)
        chosen = jax.tree.map(lambda g, u: -rate * jnp.where(rms > 0, u, g), gradients, normalised)
        return chosen, state

    return optax.GradientTransformation(scaled.init, update)


def vectorised() -> bool:
    """Whether members are trained all at once: on accelerators, which a small net leaves idle."""
    return jax.default_backend() != "cpu"


def data_of(targets: Mapping[str, Draw]) -> Float32[np.ndarray, "targets n 2"]:
    """The training points of every target, always the same ones."""
    return np.stack([draw(_rng(0, name), _POINTS) for name, draw in targets.items()])


def references(targets: Mapping[str, Draw], seed: int, n: int) -> Float32[np.ndarray, "targets n 2"]:
    """n other points of every target for this seed's distances."""
    return np.stack([draw(_rng(1, name, seed), n) for name, draw in targets.items()])


def _rng(purpose: int, name: str, seed: int = 0) -> np.random.Generator:
    """Depends on the target's name alone, and not on which others there are."""
    return np.random.default_rng([purpose, zlib.crc32(name.encode()), seed])


def train(
    make_gan: MakeGAN,
    numbers: Mapping[str, Float[np.ndarray, "targets members"]],
    seeds: Int[np.ndarray, "targets members"],
    data: Float32[np.ndarray, "targets n 2"],
    *,
    steps: int,
    batch_size: int,
    stops: int,
    samples: int,
) -> Float32[np.ndarray, "targets members stops samples 2"]:
    """Trains every member, and samples it before training and at `stops` stops, always with the same latents.

    Members do not affect each other. One that becomes non-finite stays so. On a CPU members are trained one after the
    other on each core, on an accelerator all at once.

    Args:
      make_gan: one member's numbers (scalars) to its GAN.
      numbers: by name.
      seeds: of the members; those with the same seed have the same initial nets, minibatches and latents.
      data: training points.
      steps, batch_size: see `Protocol`.
      stops: as many samples as that and one; divides `steps`.
      samples: points per sample.
    """
    members = seeds.shape[1]
    mesh = Mesh(np.array(jax.devices()[: min(members, jax.device_count())]), (_AXIS,))
    count = -(-members // mesh.size) * mesh.size

    def padded(leaf: np.ndarray) -> np.ndarray:
        return np.pad(leaf, ((0, 0), (0, count - members)), mode="edge")

    run = _program(make_gan, mesh, steps // stops, batch_size, stops, samples)
    inputs = {key: padded(np.asarray(leaf, np.float32)) for key, leaf in numbers.items()}
    found = run(inputs, padded(np.asarray(seeds, np.int32)), data)
    return np.asarray(found)[:, :members]


@functools.lru_cache(maxsize=2)
def _program(make_gan: MakeGAN, mesh: Mesh, length: int, batch_size: int, stops: int, samples: int) -> Any:
    def member(numbers: Any, seed: Array, data: Array) -> Array:
        gan, examples = make_gan(numbers), Examples(data)
        init_rng, rng, sample_rng = jax.random.split(jax.random.key(seed), 3)
        start = training.initial_state(gan, init_rng, examples)

        def piece(state: Any, _: None) -> tuple[Any, Array]:
            state, _metrics = training.train(gan, state, examples, rng, steps=length, batch_size=batch_size)
            return state, gan.sample(state, sample_rng, samples)

        first = gan.sample(start, sample_rng, samples)
        return jnp.concatenate([first[None], lax.scan(piece, start, length=stops)[1]])

    def of_target(inputs: tuple[Any, Array, Array]) -> Array:
        numbers, seeds, data = inputs
        if vectorised():
            return jax.vmap(member, (0, 0, None))(numbers, seeds, data)
        return lax.map(lambda one: member(one[0], one[1], data), (numbers, seeds))

    def all_targets(numbers: Any, seeds: Array, data: Array) -> Array:
        inputs = (numbers, seeds, data)
        return jax.vmap(of_target)(inputs) if vectorised() else lax.map(of_target, inputs)

    each = P(None, _AXIS)
    spread = jax.shard_map(all_targets, mesh=mesh, in_specs=(each, each, P()), out_specs=each, check_vma=False)
    return jax.jit(spread, compiler_options=compiler_options())


@dataclasses.dataclass(frozen=True)
class Found:
    """What a method's runs gave.

    Attributes:
      scores: mean W_1 over the search's seeds at the end `[targets, settings]`; infinite where a seed became
        non-finite.
      chosen: numbers of the settings that were measured `[targets, chosen]`.
      samples: theirs along training, `[targets, chosen, seeds, stops + 1, n, 2]`.
      runs: how many runs were one program.
      seconds: its wall-clock time, compilation included.
    """

    scores: Float[np.ndarray, "targets settings"]
    chosen: Int[np.ndarray, "targets chosen"]
    samples: Float32[np.ndarray, "targets chosen seeds stops n 2"]
    runs: int
    seconds: float


def best(scores: Float[np.ndarray, " settings"]) -> list[int]:
    """The setting with the least score."""
    return [int(np.argmin(scores))]


def best_and_median(scores: Float[np.ndarray, " settings"]) -> list[int]:
    """The best setting and the one in the middle of the order, of an even number the better one of two."""
    return [int(np.argmin(scores)), int(np.argsort(scores, kind="stable")[(len(scores) - 1) // 2])]


def explore(
    make_gan: MakeGAN,
    settings: Sequence[Numbers],
    targets: Mapping[str, Draw],
    seeds: Sequence[int],
    protocol: Protocol,
    choose: Callable[[Float[np.ndarray, " settings"]], list[int]],
) -> Found:
    """Compares the settings on the search's seeds, target by target, and measures the chosen ones on `seeds`.

    On an accelerator all settings are trained on all seeds at once, which takes no longer than some of them; on a CPU
    only the chosen ones are, with the same result.

    Args:
      make_gan: see `train`.
      settings: what is compared.
      targets: what is learned.
      seeds: of the measurement, below 1000, where those of the search begin.
      protocol: how.
      choose: a target's scores to the chosen settings, of every target equally many.
    """
    search = [_SEARCH_SEED + k for k in range(protocol.search_seeds)]
    own = list(seeds)
    together = vectorised()
    started = time.perf_counter()
    first = _run(make_gan, [list(settings)] * len(targets), [*search, *own] if together else search, targets, protocol)
    seconds = time.perf_counter() - started
    ends = distances(first[:, :, : len(search), -1:, : protocol.search_samples], search, targets)[..., 0]
    scores = np.where(np.isfinite(ends), ends, np.inf).mean(axis=2)
    chosen = np.array([choose(row) for row in scores])
    if together:
        samples = np.stack([first[k, row, len(search) :] for k, row in enumerate(chosen)])
    else:
        samples = _run(make_gan, [[settings[i] for i in row] for row in chosen], own, targets, protocol)
    return Found(scores, chosen, samples, math.prod(first.shape[:3]), seconds)


def _run(
    make_gan: MakeGAN,
    settings: Sequence[Sequence[Numbers]],
    seeds: Sequence[int],
    targets: Mapping[str, Draw],
    protocol: Protocol,
) -> Float32[np.ndarray, "targets settings seeds stops n 2"]:
    """Samples of every target's settings with every seed; of all targets equally many."""
    numbers = {
        key: np.repeat([[one[key] for one in row] for row in settings], len(seeds), axis=1) for key in settings[0][0]
    }
    own = np.tile(np.asarray(seeds), (len(settings), len(settings[0])))
    samples = train(
        make_gan, numbers, own, data_of(targets), steps=protocol.steps, batch_size=protocol.batch_size,
        stops=protocol.stops, samples=protocol.samples,
    )  # fmt: skip
    return samples.reshape(len(targets), len(settings[0]), len(seeds), *samples.shape[2:])


def distances(
    samples: Float32[np.ndarray, "targets settings seeds stops n 2"], seeds: Sequence[int], targets: Mapping[str, Draw]
) -> Float[np.ndarray, "targets settings seeds stops"]:
    """The exact W_1 of every sample to as many real points of its target, others for every seed.

    NaN where a point is not finite.
    """
    real = {seed: references(targets, seed, samples.shape[-2]) for seed in seeds}
    places = [place for place in np.ndindex(samples.shape[:4]) if np.isfinite(samples[place]).all()]
    found = np.full(samples.shape[:4], np.nan)
    pairs = [(samples[place], real[seeds[place[2]]][place[0]]) for place in places]
    # Processes take some seconds to start, and solving goes with the cube of the number of points.
    many = len(pairs) * samples.shape[-2] ** 3 > _MANY and devices.cores() > 1
    each = functools.partial(transport.pool().map, chunksize=8) if many else map
    for place, distance in zip(places, each(_exact, pairs), strict=True):
        found[place] = distance
    return found


def _exact(pair: tuple[np.ndarray, np.ndarray]) -> float:
    return transport.exact(*pair)


def floor(targets: Mapping[str, Draw], seeds: Sequence[int], n: int) -> Float[np.ndarray, "targets seeds"]:
    """The W_1 of two real samples of n points: what nothing can be expected to be below."""
    real = np.stack([references(targets, seed + _SEARCH_SEED // 2, n) for seed in seeds], axis=1)
    return distances(real[:, None, :, None], seeds, targets)[:, 0, :, 0]


def until_non_finite(curve: Sequence[float]) -> list[float]:
    """The numbers before the first that is not finite."""
    return list(itertools.takewhile(math.isfinite, map(float, curve)))


_PATHS = 12


def picture(
    samples: Float32[np.ndarray, "targets stops n 2"], targets: Mapping[str, Draw]
) -> UInt8[np.ndarray, "height width 3"]:
    """Samples of every target (rows) along training (columns), over real points.

    In the last column the ways of some points of fixed latents from stop to stop.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from gan_jax.lab import style

    last = samples.shape[1] - 1
    stops = sorted({0, last // 10 or min(1, last), last // 3, 2 * last // 3, last})
    with style.applied("readme"):
        figure = style.figure(1.25 * (len(stops) + 1), 1.25 * len(targets) + 0.2)
        canvas = FigureCanvasAgg(figure)
        axes = figure.subplots(len(targets), len(stops) + 1, squeeze=False)
        for k, (name, draw) in enumerate(targets.items()):
            real = draw(_rng(1, name), 500)
            middle, reach = (real.max(axis=0) + real.min(axis=0)) / 2, 0.65 * np.ptp(real, axis=0).max()
            for column, one in enumerate(axes[k]):
                one.plot(*real.T, ".", color=style.PALE, markersize=1, alpha=0.5)
                if column < len(stops):
                    one.plot(*samples[k, stops[column]].T, ".", color=style.COLORS[0], markersize=1)
                else:
                    one.plot(*samples[k, :, :_PATHS].transpose(2, 0, 1), "-", color=style.COLORS[1], linewidth=0.6)
                    one.plot(*samples[k, -1, :_PATHS].T, ".", color=style.COLORS[0], markersize=4)
                limits = np.stack([middle - reach, middle + reach], axis=1)
                one.set(xlim=limits[0], ylim=limits[1], xticks=[], yticks=[], aspect="equal")
            axes[k, 0].set_ylabel(name)
        for column, stop in enumerate(stops):
            axes[0, column].set_title(f"{stop / last:.0%}" if last else "0%")
        axes[0, -1].set_title("ways")
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
