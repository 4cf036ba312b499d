"""Minibatches of data that stays on the host: gathered and sent to the device while it trains on those before them."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from gan_jax.data.rows import Rows
from gan_jax.training import Examples


class Stream:
    """Chunks of minibatches by number, each made once, the next one in a thread while one is trained on.

    Which examples are in a chunk depends on its number alone, so neither the thread nor where a run was cut changes a
    bit of it.
    """

    def __init__(
        self,
        examples: Examples,
        draw: Callable[[int], np.ndarray],
        following: Callable[[int], int],
        sharding: NamedSharding | None = None,
    ) -> None:
        """Gathers nothing yet.

        Args:
          examples: the data set, leaves `[N, ...]`, in memory or memory-mapped.
          draw: of a chunk that starts at a step, the numbers of its examples, `[capacity, n_critic, B]`. It is called
            by the thread that asks for chunks: a device that trains would keep another one waiting.
          following: the step at which the next chunk starts.
          sharding: how a chunk's leaves lie on several devices; a process gathers the rows of its own.
        """
        self._rows = jax.tree.map(Rows, examples)
        self._draw, self._following, self._sharding = draw, following, sharding
        self._start: int | None = None
        self._chunk: Examples | None = None
        self._next: tuple[int, Future[Examples]] | None = None

    def chunk(self, start: int) -> Examples:
        """The chunk that starts at a step, leaves `[capacity, n_critic, B, ...]` on the device; begins the next one.

        Raises:
          InputError: the data was changed, or can't be read.
        """
        if self._start != start or self._chunk is None:
            self._chunk, self._start = None, start  # Not both at a time in the device's memory, unless one is ahead.
            if self._next is not None and self._next[0] == start:
                ahead, self._next = self._next[1], None
                self._chunk = ahead.result()
            else:
                self.close()  # Else the chunk that nobody wants would be read, and lie in memory, beside the new one.
                self._chunk = self._made(self._draw(start))
            following = self._following(start)
            self._next = following, _in_thread(self._made, self._draw(following))
        return self._chunk

    def close(self) -> None:
        """Waits for the thread, and drops what it made or raised."""
        if self._next is not None:
            self._next[1].exception()
            self._next = None

    def _made(self, numbers: np.ndarray) -> Examples:
        def gathered(rows: Rows) -> jax.Array:
            def of_device(index: Any) -> np.ndarray:
                return rows.take(numbers[index[: numbers.ndim]])

            if self._sharding is None:
                return jax.device_put(rows.take(numbers))
            return jax.make_array_from_callback((*numbers.shape, *rows.shape[1:]), self._sharding, of_device)

        return jax.tree.map(gathered, self._rows)


def _in_thread(do: Callable[[np.ndarray], Examples], numbers: np.ndarray) -> "Future[Examples]":
    """What `do` returns or raises, when it does; a program that ends does not wait for it."""
    future: Future[Examples] = Future()

    def run() -> None:
        try:
            future.set_result(do(numbers))
        except BaseException as error:  # Raised where the result is asked for.
            future.set_exception(error)

    threading.Thread(target=run, name="prefetch", daemon=True).start()
    return future
