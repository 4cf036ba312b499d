"""Dispatches of compiled steps: short enough to stop between, however the steps are cut the same bits, and finite."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import training
from gan_jax.compiling import jit_training
from gan_jax.data import Dataset
from gan_jax.data.rows import SMALL_BYTES
from gan_jax.gan import GAN, GANState
from gan_jax.lab import devices, peers
from gan_jax.lab.job import Job, Maker
from gan_jax.lab.runs.layout import Layout, placed
from gan_jax.lab.runs.streaming import Stream
from gan_jax.population import Hyperparams, MakeGAN
from gan_jax.training import Examples
from gan_jax.typing import Key, Metrics, Step

T = TypeVar("T")

# `(state, n)` -> the state after n more steps, or as many as fit a dispatch, and float32 metrics [of so many].
Advance = Callable[[GANState, int], tuple[GANState, dict[str, np.ndarray]]]

# Steps of a compiled dispatch at most: its metrics come in memory for so many.
CAPACITY = 256
# Steps from one that takes the norms of gradients to the next. The same in all runs and sweeps, whatever they log: it
# may change how XLA fuses, and so the last bits.
NORMS_EVERY = 16
_STREAMED_BYTES = 2**24  # of a chunk; there are two at a time


def makers(job: Job) -> dict[int, Maker]:
    """What makes the GAN of each phase, by the first step that it trains: two where a warm-up comes first."""
    return {start: job.maker(start) for start in {0, job.options.get("warmup_steps", 0)}}


def phase(phases: Mapping[int, T], step: int) -> T:
    """What trains at a step, of phases by their first."""
    return phases[max(start for start in phases if start <= step)]


class Advancer:
    """The job's training, compiled once for all lengths; the data on each device, or streamed from the host.

    The state that goes in stays valid, for `up_to_not_finite` to go back to: one copy of it per dispatch.
    """

    def __init__(self, job: Job, dataset: Dataset, layout: Layout) -> None:
        """Puts the data in place; compiles nothing yet.

        Args:
          job: what is trained.
          dataset: what on.
          layout: where.
        """
        options = job.options
        self._layout, self._batch_size = layout, options["batch_size"]
        self._numbers, self._rng = placed((job.numbers, job.keys.train), layout.whole)
        # Draws are of each process alone, from a key of its own.
        self._host, self._host_rng = dataset.examples, job.keys.train
        resident = not options["stream"] and _fits(dataset)
        self._resident = jax.tree.map(jnp.asarray, placed(self._host, layout.whole)) if resident else None
        self._phases = {start: _Spread(make_gan, layout) for start, make_gan in makers(job).items()}
        self._n_critics = {start: make_gan({}).n_critic for start, make_gan in self._phases.items()}
        self._compiled: dict[int, Any] = {}
        self._draw = jax.jit(jax.vmap(training.draw_indices, (None, 0, None, None, None)), static_argnums=(2, 3, 4))
        self._stream = (
            Stream(self._host, self._drawn, self._following, layout.streamed) if self._resident is None else None
        )

    def close(self) -> None:
        """Ends what goes on beside training."""
        if self._stream is not None:
            self._stream.close()

    def ready(self, step: int) -> bool:
        """Whether the program of this step is compiled: of a run with a warm-up there are two."""
        return phase({start: start for start in self._phases}, step) in self._compiled

    def compile(self, state: GANState) -> None:
        """Compiles the program that advances such a state."""
        step = int(state.step)
        start = phase({start: start for start in self._phases}, step)
        make_gan, stop = self._phases[start], placed(np.int32(step), self._layout.whole)
        if self._resident is not None:
            static = {"batch_size": self._batch_size, "capacity": CAPACITY}
            lowered = jit_training(_train_until, out_shardings=self._layout.whole).lower(
                make_gan, self._numbers, state, self._resident, self._rng, stop, **static
            )
        else:
            leading = (self._capacity(step), phase(self._n_critics, step), self._batch_size)
            sharding = self._layout.streamed
            chunk = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct((*leading, *leaf.shape[1:]), leaf.dtype, sharding=sharding),
                self._host,
            )
            train = jit_training(_train_streamed_until, out_shardings=self._layout.whole)
            lowered = train.lower(make_gan, self._numbers, state, chunk, self._rng, stop, stop)
        self._compiled[start] = lowered.compile()

    def memory(self, step: int) -> Any:
        """What the program of this step takes of each device, by XLA's account."""
        return phase(self._compiled, step).memory_analysis()

    @property
    def resident_bytes(self) -> int:
        """What the data takes of each device; 0 of data that is streamed."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self._resident))

    def __call__(self, state: GANState, n: int) -> tuple[GANState, dict[str, np.ndarray]]:
        """See `Advance`."""
        step = int(state.step)
        if not self.ready(step):
            self.compile(state)
        train, start = phase(self._compiled, step), self._first(step)
        n = min(n, start + self._capacity(step) - step)
        stop, first = (placed(np.int32(at), self._layout.whole) for at in (step + n, start))
        if self._stream is None:
            state, metrics = train(self._numbers, state, self._resident, self._rng, stop)
        else:
            with peers.together():  # What one process can't read, none trains on: the others would wait for it.
                chunk = self._stream.chunk(start)
            state, metrics = train(self._numbers, state, chunk, self._rng, stop, first)
        return state, {name: np.asarray(values[:n], np.float32) for name, values in jax.device_get(metrics).items()}

    def _capacity(self, step: int) -> int:
        """Steps in a dispatch at most."""
        if self._resident is not None:
            return CAPACITY
        bytes_per_step = phase(self._n_critics, step) * self._batch_size * self._host.x[0].nbytes
        return int(np.clip(_STREAMED_BYTES // bytes_per_step, 1, CAPACITY))

    def _first(self, step: int) -> int:
        """Where the chunk of a step starts: wherever a run was cut, chunks are the same."""
        if self._resident is not None:
            return step
        start = max(start for start in self._phases if start <= step)
        return step - (step - start) % self._capacity(step)

    def _following(self, first: int) -> int:
        """Where the next chunk starts: a phase begins with its own."""
        end = first + self._capacity(first)
        return min([end, *(start for start in self._phases if first < start < end)])

    def _drawn(self, first: int) -> np.ndarray:
        """The numbers of the examples of a chunk, `[capacity, n_critic, B]`."""
        steps = first + np.arange(self._capacity(first), dtype=np.int32)
        n_critic = phase(self._n_critics, first)
        return np.asarray(self._draw(self._host_rng, steps, n_critic, self._batch_size, len(self._host.x)))


@dataclasses.dataclass(frozen=True)
class _Spread:
    """Makes the GAN of `make_gan`, its minibatches divided between the devices of a layout."""

    make_gan: MakeGAN
    layout: Layout

    def __call__(self, numbers: Hyperparams) -> GAN:
        return self.layout.spread(self.make_gan(numbers))


def _train_until(
    make_gan: MakeGAN,
    numbers: Hyperparams,
    state: GANState,
    data: Examples,
    rng: Key,
    stop: Step,
    *,
    batch_size: int,
    capacity: int,
) -> tuple[GANState, Metrics]:
    steps: dict[str, Any] = {"batch_size": batch_size, "capacity": capacity, "norms_every": NORMS_EVERY}
    return training.train_until(make_gan(numbers), state, data, rng, stop, **steps)


def _train_streamed_until(
    make_gan: MakeGAN, numbers: Hyperparams, state: GANState, chunk: Examples, rng: Key, stop: Step, first: Step
) -> tuple[GANState, Metrics]:
    gan = make_gan(numbers)
    return training.train_streamed_until(gan, state, chunk, rng, stop, first, norms_every=NORMS_EVERY)


def next_pace(pace: int, n: int, seconds: float) -> int:
    """How many steps to dispatch next, after n, of the `pace` allowed, took some seconds: about half a second's worth.

    A signal is heard between two dispatches. Timing may set their length because it decides no bit of the result.
    """
    if seconds > 1:
        return max(1, n // 2)
    return 2 * pace if seconds < 0.4 and n == pace and pace < CAPACITY else pace


def up_to_not_finite(advance: Advance, state: GANState, n: int) -> tuple[GANState, dict[str, np.ndarray], str | None]:
    """`advance`, but never past the last finite state.

    Returns:
      The state and the metrics of the steps taken; and, if fewer than n were because the next is not finite, the name
      of the first quantity of that step which is not, else None.
    """
    after, metrics = advance(state, n)
    if not_finite(after, metrics) is None:
        return after, metrics, None
    history = [{name: values[:0] for name, values in metrics.items()}]
    first = None
    for _ in range(len(next(iter(metrics.values())))):
        after, metrics = advance(state, 1)
        if (first := not_finite(after, metrics)) is not None:
            break
        state = after
        history.append(metrics)
    return state, {name: np.concatenate([step[name] for step in history]) for name in metrics}, first


def not_finite(state: GANState, metrics: dict[str, np.ndarray]) -> str | None:
    """Name of the first quantity of a step that is not finite: a metric, see `metric_not_finite`, then the state."""
    if (name := metric_not_finite(metrics)) is not None:
        return name
    for path, finite in jax.tree_util.tree_leaves_with_path(jax.device_get(_finite(state))):
        if not finite:
            return f"state{jax.tree_util.keystr(path)}"
    return None


def metric_not_finite(metrics: Mapping[str, np.ndarray]) -> str | None:
    """Name of a metric that is not finite, a loss before others, D's before G's."""
    order = sorted(metrics, key=lambda name: (not name.endswith("loss"), name))
    return next((name for name in order if not np.isfinite(metrics[name]).all()), None)


@jax.jit
def _finite(state: GANState) -> GANState:
    return jax.tree.map(lambda leaf: jnp.isfinite(leaf).all(), state)


def _fits(dataset: Dataset) -> bool:
    """Whether the whole data set can lie on the device beside the model.

    On an accelerator that is half of its memory. A CPU has the host's, where data that was loaded lies already, and
    memory-mapped data should not, unless it is small.
    """
    limit = devices.memory_limit()
    if limit is not None:
        return dataset.x.nbytes <= limit / 2
    return not isinstance(dataset.x, np.memmap) or dataset.x.nbytes <= SMALL_BYTES
