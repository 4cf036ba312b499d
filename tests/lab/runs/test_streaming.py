import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax.data import Dataset
from gan_jax.data.rows import Rows
from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS, experiment
from gan_jax.lab.job import Job
from gan_jax.lab.runs import chunks
from gan_jax.lab.runs.layout import Layout
from gan_jax.lab.runs.streaming import Stream
from gan_jax.training import Examples
from tests.data.test_rows import resident_bytes
from tests.helpers import assert_same

X = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 1)).astype(np.uint8)
LABELS = np.arange(50, dtype=np.int32) % 3


def numbers_of(start: int) -> np.ndarray:
    """Chunks of four steps."""
    return (start + np.arange(4 * 2 * 3).reshape(4, 2, 3)) % 50


@pytest.fixture
def takers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads that rows were taken by."""
    found: list[str] = []
    take = Rows.take

    def noting(rows: Rows, numbers: np.ndarray) -> np.ndarray:
        found.append(threading.current_thread().name)
        return take(rows, numbers)

    monkeypatch.setattr(Rows, "take", noting)
    return found


def test_chunks_are_what_is_drawn_in_whatever_order_they_are_asked_for(takers: list[str]) -> None:
    stream = Stream(Examples(X, LABELS), numbers_of, lambda start: start + 4)
    for start in (0, 4, 8, 8, 40, 4):
        chunk = stream.chunk(start)
        np.testing.assert_array_equal(chunk.x, X[numbers_of(start)])
        np.testing.assert_array_equal(chunk.labels, LABELS[numbers_of(start)])
        assert isinstance(chunk.x, jax.Array)
    stream.close()
    # Only the first, and those after a jump, were waited for.
    assert takers.count("MainThread") == 2 * 3


def test_what_is_begun_ends_before_other_rows_are_taken_and_before_the_stream_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[str] = []
    take = Rows.take

    def noting(rows: Rows, numbers: np.ndarray) -> np.ndarray:
        name = f"{threading.current_thread().name} {numbers[0, 0, 0]}"
        events.append(f"{name} begins")
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.2)
        events.append(f"{name} ends")
        return take(rows, numbers)

    monkeypatch.setattr(Rows, "take", noting)
    stream = Stream(Examples(X), numbers_of, lambda start: start + 4)
    stream.chunk(0)
    stream.chunk(40)  # The thread is ahead with 4.
    stream.close()  # It is with 44.
    taken = ["MainThread 0", "prefetch 4", "MainThread 40", "prefetch 44"]
    assert events == [f"{name} {what}" for name in taken for what in ("begins", "ends")]


def test_every_device_has_rows_of_its_own_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[np.ndarray] = []
    take = Rows.take

    def noting(rows: Rows, numbers: np.ndarray) -> np.ndarray:
        found.append(numbers)
        return take(rows, numbers)

    monkeypatch.setattr(Rows, "take", noting)
    layout = NamedSharding(Mesh(jax.devices()[:3], ("data",)), PartitionSpec(None, None, "data"))
    stream = Stream(Examples(X), numbers_of, lambda start: start + 4, layout)
    chunk = stream.chunk(0)
    np.testing.assert_array_equal(chunk.x, X[numbers_of(0)])
    assert chunk.x.sharding == layout
    stream.close()
    # Of two chunks, a third of each for every device.
    expected = [numbers_of(start)[:, :, [k]].tolist() for start in (0, 4) for k in range(3)]
    assert sorted(numbers.tolist() for numbers in found) == sorted(expected)


def test_what_the_thread_raises_is_raised_where_its_chunk_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(Examples(X), numbers_of, lambda start: start + 4)
    error = InputError("x.npy was changed")

    def fail(rows: Rows, numbers: np.ndarray) -> np.ndarray:
        raise error

    stream.chunk(0)
    stream.close()
    stream.chunk(4)  # Made by this thread: the one that was ahead is gone.
    assert stream._next is not None
    stream._next[1].result()  # The thread has taken its rows.
    monkeypatch.setattr(Rows, "take", fail)
    stream.chunk(8)
    with pytest.raises(InputError) as raised:
        stream.chunk(12)
    assert raised.value is error
    stream.close()


def test_unlabelled() -> None:
    assert Stream(Examples(X), numbers_of, lambda start: start + 4).chunk(0).labels is None


@pytest.fixture(params=["threefry2x32", pytest.param("rbg", marks=pytest.mark.slow)])
def impl(request: pytest.FixtureRequest) -> Iterator[None]:
    before = jax.config.jax_default_prng_impl
    jax.config.update("jax_default_prng_impl", request.param)
    yield
    jax.config.update("jax_default_prng_impl", before)


def job_of(name: str, dataset: Dataset, **typed: Any) -> Job:
    options = {"batch_size": 3, "steps": 20, "width": 4, **typed}
    return Job.on(experiment.config(EXPERIMENTS, name, options), dataset)


def trained(job: Job, dataset: Dataset, pieces: list[int]) -> Any:
    """State and metrics after pieces of so many steps."""
    state, history = job.fresh_state(), []
    advance = chunks.Advancer(job, dataset, Layout())
    for n in pieces:
        end = int(state.step) + n
        while int(state.step) < end:
            state, metrics = advance(state, end - int(state.step))
            history.append(metrics)
    advance.close()
    return state, {name: np.concatenate([part[name] for part in history]) for name in history[0]}


@pytest.mark.usefixtures("impl")
def test_resident_streamed_and_mapped_runs_have_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    loaded = Dataset("loaded", X)
    monkeypatch.setattr(chunks, "_STREAMED_BYTES", 4 * 5 * 3 * 16)  # Chunks of four steps.
    whole = trained(job_of("wgan", loaded), loaded, [9])
    for pieces in ([9], [1, 2, 4, 2]):
        assert_same(trained(job_of("wgan", loaded, stream=True), loaded, pieces), whole)
    assert_same(trained(job_of("wgan", loaded), Dataset("mapped", mapped), [9]), whole)
    monkeypatch.setattr(chunks, "SMALL_BYTES", 0)
    before = resident_bytes(tmp_path / "x.npy")
    assert_same(trained(job_of("wgan", loaded), Dataset("mapped", mapped), [5, 4]), whole)
    assert resident_bytes(tmp_path / "x.npy") == before


@pytest.mark.slow
def test_a_warm_up_has_chunks_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset("loaded", X)
    own = {"warmup_steps": 3, "warmup_critic": 7}
    monkeypatch.setattr(chunks, "_STREAMED_BYTES", 2 * 7 * 3 * 16)  # Two steps of the warm-up, more after it.
    whole = trained(job_of("wgan", dataset, **own), dataset, [3, 4])
    assert_same(trained(job_of("wgan", dataset, **own, stream=True), dataset, [2, 1, 1, 3]), whole)


@pytest.mark.slow
def test_large_data_trains_in_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sparse file: of 1 GiB no page is mapped, and nothing but the minibatches is read."""
    path = tmp_path / "x.npy"
    x = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(2**18, 64, 64, 1))
    del x
    dataset = Dataset("sparse", np.load(path, mmap_mode="r"))
    read: list[int] = []
    take = Rows.take

    def noting(rows: Rows, numbers: np.ndarray) -> np.ndarray:
        read.append((taken := take(rows, numbers)).nbytes)
        return taken

    monkeypatch.setattr(Rows, "take", noting)
    monkeypatch.setattr(chunks, "_STREAMED_BYTES", 2**18)
    state, _ = trained(job_of("gan", dataset), dataset, [3])
    assert int(state.step) == 3
    assert resident_bytes(path) < 2**16
    assert sum(read) < 2**20
    assert path.stat().st_blocks * 512 < 2**20
