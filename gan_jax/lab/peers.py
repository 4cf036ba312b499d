"""The other processes of a command: what all of them agree on, and what becomes of this one when another ends.

Between two exchanges every process does the same. What one decides alone (by a file that it found, a signal, an error)
the others would not learn, and wait for it in the middle of the next program. JAX's runtime notices where one has
ended, and ends the others; `join` sees to it that a sentence says so.
"""

import atexit
import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from gan_jax.errors import InputError

SENTENCE = (
    "ended before its time: another process of this command has ended or was not reached, or this one was stopped; to "
    "go on type the same command with --resume auto, in every process"
)

# Within a minute all have ended: JAX would wait for 100 s until a process that is silent counts as gone.
_SILENT_SECONDS = 30
# How the libraries of collective operations, and JAX's runtime, say that a process is gone.
_GONE = re.compile(r"gloo|nccl|coordination service|heartbeat|socket closed|barrier", re.IGNORECASE)

_watcher: subprocess.Popen[bytes] | None = None


class AgreedError(InputError):
    """An input error that every process has heard of: each may end in its own time."""


def join(arguments: Mapping[str, Any]) -> None:
    """Makes this process one of several.

    The runtime aborts a process whose peers are gone, in the middle of C++ code: of Python nothing runs then. So a
    child process waits, and prints the sentence if this one ends without a word to it.

    Args:
      arguments: those of `jax.distributed.initialize`.

    Raises:
      InputError: nothing says where the others are.
    """
    global _watcher
    _watcher = subprocess.Popen(
        ["/bin/sh", "-c", 'read -r word || echo "$0" >&2', SENTENCE],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(_dismiss)
    try:
        jax.distributed.initialize(**arguments, heartbeat_timeout_seconds=_SILENT_SECONDS)
    except ValueError as error:
        _dismiss()
        raise InputError(
            f"--distributed {'auto finds no cluster' if not arguments else 'can not start'} ({error}): type "
            "HOST:PORT,COUNT,INDEX, where the first process listens, how many there are, and which this is, from 0"
        ) from error


def arguments(text: str) -> dict[str, Any]:
    """Those of `jax.distributed.initialize` from what was typed: auto, or HOST:PORT,COUNT,INDEX."""
    if text == "auto":
        return {}
    address, *numbers = text.split(",")
    if not re.fullmatch(r".+:\d+", address) or len(numbers) != 2 or not all(n.isdecimal() for n in numbers):
        raise ValueError(f"expected auto or HOST:PORT,COUNT,INDEX, got {text!r}")
    count, index = map(int, numbers)
    if index >= count:
        raise ValueError(f"expected an INDEX below COUNT, from 0, got {text!r}")
    return {"coordinator_address": address, "num_processes": count, "process_id": index}


def several() -> bool:
    """Whether this process is one of several; asking starts nothing."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def is_first() -> bool:
    """Whether this is the process that writes and prints: the only one, or the first of several."""
    return not several() or jax.process_index() == 0


def from_first(text: str) -> str:
    """What the first process says, in every process."""
    if not several():
        return text
    said = np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(said.size)))
    padded = np.resize(said, size + 1) if is_first() else np.zeros(size + 1, np.uint8)
    return bytes(multihost_utils.broadcast_one_to_all(padded)[:size]).decode("utf-8", "surrogateescape")


@contextlib.contextmanager
def together() -> Iterator[None]:
    """A block that all processes come through, or none: an InputError of one is an error in all.

    Raises:
      AgreedError: in place of its own InputError, or of another's.
    """
    if not several():
        yield
        return
    own = ""
    try:
        yield
    except InputError as error:
        own = str(error)
    said = _from_all(own)
    if any(said):
        index = next(index for index, text in enumerate(said) if text)
        raise AgreedError(own or f"process {index} can't go on: {said[index]}")


def leave(code: int, *, grace: float = 2.0) -> int:
    """Ends this process if it is one of several: the others wait for it, and learn so that it is gone.

    Args:
      code: the exit code.
      grace: seconds before that. The others may be about to find the same error, and to say so: as long as this
        process is there, they are not aborted.

    Returns:
      The exit code, where it is alone.
    """
    if several():
        time.sleep(grace)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        _dismiss()
        os._exit(code)
    return code


def are_gone(error: BaseException) -> bool:
    """Whether an error says that another process has ended."""
    return several() and _GONE.search(str(error)) is not None


def _from_all(text: str) -> list[str]:
    """What every process says."""
    said = text.encode("utf-8", "surrogateescape")
    sizes = multihost_utils.process_allgather(np.int32(len(said)))
    padded = np.zeros(max(sizes.max(), 1), np.uint8)
    padded[: len(said)] = np.frombuffer(said, np.uint8)
    rows = multihost_utils.process_allgather(padded)
    return [bytes(row[:size]).decode("utf-8", "surrogateescape") for row, size in zip(rows, sizes, strict=True)]


def _dismiss() -> None:
    """Tells the child process that this one ends as it should."""
    if _watcher is not None and _watcher.stdin is not None and not _watcher.stdin.closed:
        with contextlib.suppress(OSError):
            _watcher.stdin.write(b"\n")
            _watcher.stdin.close()
        _watcher.wait()
