"""What a run says of itself, `(step, record) -> None`: into metrics.jsonl, append-only, and the same for TensorBoard.

A line of metrics.jsonl is the mean over the steps since the last multiple of log_every (the norms of gradients, which
cost time, are taken at every 16th step, and a line of fewer steps may have none), with what is of its step alone:
images_seen and seconds so far (as in run.json), the metrics of --track, and with each sample grid its diversity, and
the distance to the nearest sample, of images from each other and of points from the data. What a line sums up so far
travels in the checkpoint, so that a resumed run writes the very lines of one that was never stopped. The steps that
were lost with a killed process are taken and logged again: of two lines with the same step the later one counts.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog

from gan_jax.gan import NOT_TAKEN

_NOT_ALWAYS = ("d_grad", "g_grad")

Value = float | np.ndarray
"""A number, or a picture: uint8 RGB `[H, W, 3]`."""

Log = Callable[[int, Mapping[str, Value]], None]
"""`(step, record)`: what there is to say of a step, by name. A step may have several records."""


class Window(NamedTuple):
    """What the next line sums up so far.

    Attributes:
      steps: how many.
      seconds: that they took.
      sums: of each metric over them.
      taken: at how many of them a metric was taken that is not at all.
    """

    steps: int = 0
    seconds: float = 0.0
    sums: Mapping[str, float] = {}
    taken: Mapping[str, int] = {}


def added(window: Window, metrics: Mapping[str, np.ndarray], seconds: float) -> Window:
    """The window with some more steps."""
    sums, taken = dict(window.sums), dict(window.taken)
    for name, values in sorted(metrics.items()):
        there = [value for value in values.tolist() if name not in _NOT_ALWAYS or value != NOT_TAKEN]
        if name in _NOT_ALWAYS:
            # Of a window without a count every step has it: an earlier version wrote that.
            taken[name] = taken.get(name, window.steps if name in sums else 0) + len(there)
        # One after the other, so that the sum does not depend on how many steps come at once.
        for value in there:
            sums[name] = sums.get(name, 0.0) + value
    steps = len(next(iter(metrics.values())))
    return Window(window.steps + steps, window.seconds + seconds, sums, taken)


def averages(window: Window) -> dict[str, float]:
    """The mean of each metric over the steps at which it was taken; without those that none took."""
    return {name: total / window.taken.get(name, window.steps) for name, total in window.sums.items()}


def means(window: Window) -> dict[str, float]:
    """The line of a run: the averages, and steps_per_s."""
    return averages(window) | {"steps_per_s": window.steps / window.seconds}


@contextlib.contextmanager
def appending(path: Path) -> Iterator[TextIO]:
    """The file to append lines to, after a last line that a killed process left half written has been cut off."""
    if path.exists():
        whole = path.read_bytes().rpartition(b"\n")
        if whole[2]:
            with open(path, "r+b") as file:
                file.truncate(len(whole[0]) + len(whole[1]))
    with open(path, "a") as log:
        yield log


def write(log: TextIO, step: int, record: Mapping[str, Value]) -> None:
    """A line of the numbers in a record, unless it holds none."""
    numbers = {name: value for name, value in record.items() if not isinstance(value, np.ndarray)}
    if numbers:
        log.write(json.dumps({"step": step, **numbers}) + "\n")
        log.flush()


def read(path: Path) -> dict[int, dict[str, float]]:
    """The lines by step, in order; of two with the same step the later one, and not the last if half of it is missing.

    Raises:
      OSError: there is no such file.
      ValueError: a line that has an end is no record.
    """
    lines = path.read_text().split("\n")[:-1]
    records = [json.loads(line) for line in lines]
    if not all(isinstance(record, dict) and isinstance(record.get("step"), int) for record in records):
        raise ValueError("a line has no step")
    return dict(sorted({record.pop("step"): record for record in records}.items()))


@contextlib.contextmanager
def logging(directory: Path, step: int) -> Iterator[Log]:
    """Into the metrics.jsonl and the tensorboard/ of a run's directory, which goes on from this step."""
    with appending(directory / "metrics.jsonl") as lines, board(directory / "tensorboard", step) as events:

        def log(step: int, record: Mapping[str, Value]) -> None:
            write(lines, step, record)
            events(step, record)

        yield log


@contextlib.contextmanager
def board(directory: Path, step: int) -> Iterator[Log]:
    """For TensorBoard, which forgets what an earlier process wrote of steps after `step`.

    At once, and not by tensorboardX's thread: that one dies of a full disk, and the program then waits for it forever.
    """
    directory.mkdir(exist_ok=True)
    writer = EventsWriter(str(directory / "events"), f".{os.getpid()}")

    def write(step: int, record: Mapping[str, Value]) -> None:
        for name, value in record.items():
            picture = isinstance(value, np.ndarray)
            said = summary.image(name, value, dataformats="HWC") if picture else summary.scalar(name, value)
            writer.write_event(Event(wall_time=time.time(), step=step, summary=said))
            writer.flush()

    try:
        start = SessionLog(status=SessionLog.SessionStatus.START)
        writer.write_event(Event(wall_time=time.time(), step=step + 1, session_log=start))
        yield write
    finally:
        writer.close()
