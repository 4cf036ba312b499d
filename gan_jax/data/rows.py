"""Rows of arrays that may be larger than memory."""

import errno
import mmap
import os
import weakref

import numpy as np

from gan_jax.errors import InputError

SMALL_BYTES = 2**27
"""So much of memory-mapped data may be held in memory all the same."""

_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)
"""A flag of Linux for reads that take only what lies in memory."""


class Rows:
    """Rows of an array `[N, ...]`, by number: of one in memory, or of a memory-mapped file.

    The file is read, not mapped: pages of a mapping count as this program's memory, and where the file has become
    shorter the system ends a program that touches them. Reading costs a call per row, about a microsecond.
    """

    def __init__(self, array: np.ndarray) -> None:
        """Opens the file, if there is one.

        Args:
          array: the array; a memory map as `np.load` makes it, or any other array, which is taken as it is.
        """
        self._array, self._row_bytes = array, array[:1].nbytes
        self._file: int | None = None
        self._path, self._offset, self._stat = "", 0, (0, 0)
        if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.flags.c_contiguous:
            self._path, self._offset = str(array.filename), array.offset
            self._file = os.open(self._path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._file)
            self._stat = _changing(self._file)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self._array.shape

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """The rows of these numbers: of int `[...]`, `[..., *row]`, in memory of their own.

        Raises:
          InputError: the file was changed since it was opened, or can't be read.
        """
        if self._file is None:
            return np.take(self._array, numbers, axis=0)
        taken = np.empty((*numbers.shape, *self._array.shape[1:]), self._array.dtype)
        try:
            self._read(self._file, numbers.ravel(), taken.data.cast("B"))
        except OSError as error:
            raise InputError(f"{self._path} can't be read any more ({error.strerror or error}): see to that") from error
        return taken

    def _read(self, file: int, numbers: np.ndarray, into: memoryview) -> None:
        size = self._row_bytes
        places = (self._offset + numbers.astype(np.int64) * size).tolist()
        rows = [into[start : start + size] for start in range(0, len(into), size)]
        waiting = [(place, row) for place, row in zip(places, rows, strict=True) if not _in_memory(file, place, row)]
        if hasattr(os, "posix_fadvise"):
            # All are asked for before the first is waited for: from a disk that is three times faster.
            for place, _ in waiting:
                os.posix_fadvise(file, place, size, os.POSIX_FADV_WILLNEED)
        if all(_read(file, place, row) for place, row in waiting) and _changing(file) == self._stat:
            return
        raise InputError(f"{self._path} was changed while it was read: put it back")


def _in_memory(file: int, place: int, row: memoryview) -> bool:
    """Reads a row if the system holds the whole of it in memory: one call, where asking for it first takes two."""
    if _NOWAIT is None:
        return False
    try:
        return os.preadv(file, [row], place, _NOWAIT) == len(row)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL):
            return False  # Not there, or not to be told without waiting.
        raise


def _read(file: int, place: int, row: memoryview) -> bool:
    """Reads a row; False where the file ends before it does."""
    start = 0
    while start < len(row) and (count := os.preadv(file, [row[start:]], place + start)):
        start += count
    return start == len(row)


def _changing(file: int) -> tuple[int, int]:
    """What is another number when a file's content is changed."""
    stat = os.fstat(file)
    return stat.st_size, stat.st_mtime_ns
