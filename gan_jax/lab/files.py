"""Files and directories of the commands: atomic writes, locks, numbered directories. Their only home."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import filelock

from gan_jax.errors import InputError
from gan_jax.files import atomic

LOCK = ".lock"
# What network file systems without locks answer.
_WITHOUT_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP})


def write_text(path: Path, text: str) -> None:
    """Writes a text file that appears whole or not at all."""
    with atomic(path) as partial:
        partial.write_text(text)


@contextlib.contextmanager
def write_errors(path: Path, option: str = "--out") -> Iterator[None]:
    """What the operating system refuses, as a sentence that names the path and the option that chooses another."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} can't be written ({error.strerror or error}): choose a writable place with {option}"
        ) from error


def check_parent(path: Path) -> None:
    """Raises InputError unless the directory that a file is to be written into exists."""
    if not path.parent.is_dir():
        raise InputError(f"there is no directory {path.parent}: make it, or choose a different --out")


@contextlib.contextmanager
def lock(directory: Path) -> Iterator[bool]:
    """Holds a run's or sweep's directory for this process; the lock goes when the process does, however it ends.

    Yields:
      Whether it is held: some file systems have no locks.

    Raises:
      InputError: another process holds it, or the directory can't be written.
    """
    held = filelock.FileLock(directory / LOCK, timeout=0)
    try:
        held.acquire()
    except filelock.Timeout as error:
        raise InputError(
            f"{directory} is in use by another process: wait for it, or choose a different --out"
        ) from error
    except NotImplementedError:  # How filelock says that the file system has no locks.
        yield False
        return
    except OSError as error:
        if error.errno in _WITHOUT_LOCKS:
            yield False
            return
        with write_errors(directory):
            raise
    try:
        yield True
    finally:
        held.release()


def is_locked(directory: Path) -> bool:
    """Whether a process holds the lock of this directory."""
    if not (directory / LOCK).exists():
        return False
    held = filelock.FileLock(directory / LOCK, timeout=0)
    try:
        held.acquire()
    except filelock.Timeout:
        return True
    except (NotImplementedError, OSError):  # Without locks, or read-only: then no process can hold it.
        return False
    held.release()
    return False


def is_free(path: Path) -> bool:
    """Whether a run or a sweep can be made here: there is nothing, or only what a killed start left."""
    with write_errors(path):
        if not path.exists():
            return True
        return path.is_dir() and all(entry.name == LOCK or entry.name.endswith(".partial") for entry in path.iterdir())


def numbered(parent: Path) -> list[Path]:
    """The directories of a parent whose names are numbers, the smallest first."""
    return sorted((path for path in parent.glob("*") if path.name.isdecimal()), key=lambda path: int(path.name))


def next_free(parent: Path) -> Path:
    """The directory after the last numbered one."""
    return parent / f"{max((int(path.name) for path in numbered(parent)), default=0) + 1:03d}"
