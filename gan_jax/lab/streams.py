"""Standard output and error that never end a command: a closed or full one costs what is printed, not the training."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any


class _Descriptor(io.FileIO):
    """A file descriptor to write to; what it refuses, and all that follows, is dropped."""

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self.refused: OSError | None = None

    def write(self, data: Any) -> int:
        if self.refused is None:
            try:
                # None: it does not block, and has no room right now.
                if (written := super().write(data)) is not None:
                    return written
                os.set_blocking(self.fileno(), True)
                return super().write(data)
            except OSError as error:
                self.refused = error
        return len(data)


@contextlib.contextmanager
def unbroken(name: str) -> Iterator[None]:
    """Within, `print` never fails, and an exit with code 0 is one with 1 if standard output could not be written.

    A reader that has left (`| head`) wanted no more: that is no failure. What the encoding lacks is escaped.

    Args:
      name: the command's, for the sentence about it.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _unbroken(sys.stdout, 1), _unbroken(sys.stderr, 2)
    try:
        yield
    except SystemExit as stop:
        refused = _refused(sys.stdout)
        if refused is None or refused.errno == errno.EPIPE:
            raise
        print(f"{name}: standard output can't be written ({refused.strerror}): send it elsewhere", file=sys.stderr)
        sys.exit(stop.code or 1)
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def _unbroken(stream: Any, number: int) -> Any:
    if stream is None:
        # Closed before the start. Its number is taken, or the next file that is opened gets what is printed by others.
        while (opened := os.open(os.devnull, os.O_RDWR)) < number:
            pass
        return open(opened, "w", closefd=False)
    if not isinstance(stream, io.TextIOWrapper) or stream not in (sys.__stdout__, sys.__stderr__):
        return stream  # A notebook's, or that of `unbroken` around this one.
    return io.TextIOWrapper(
        io.BufferedWriter(_Descriptor(stream.fileno())),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering or stream.write_through,
    )


def _refused(stream: Any) -> OSError | None:
    stream.flush()
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.refused if isinstance(raw, _Descriptor) else None
