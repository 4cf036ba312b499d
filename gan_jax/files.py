"""Files that appear whole or not at all, locks, and where what can be made again is kept."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

from gan_jax.errors import InputError

LOCK = ".lock"
# What network file systems without locks answer.
_WITHOUT_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP})


@contextlib.contextmanager
def atomic(path: str | Path, *, shared: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place when the block ends without an exception.

    Args:
      path: the file to write.
      shared: whether other processes may write the same file at the same time.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial" if shared else f".{path.name}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def lock(directory: Path, *, wait: bool = False) -> Iterator[bool]:
    """Holds a directory, such as a run's, for this process; the lock goes when the process does, however it ends.

    Args:
      directory: what is locked.
      wait: whether to wait for another process that holds it.

    Yields:
      Whether it is held: some file systems have no locks.

    Raises:
      InputError: another process holds it, or the directory can't be written.
    """
    held = filelock.FileLock(directory / LOCK, timeout=-1 if wait else 0)
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
        raise InputError(
            f"{directory} can't be written ({error.strerror or error}): make it writable, or copy it to a place that is"
        ) from error
    try:
        yield True
    finally:
        held.release()


def kept(name: str) -> Path | None:
    """The directory `gan_jax/NAME` of this user's cache, made; None where there is no place that can be written."""
    with contextlib.suppress(OSError, RuntimeError, StopIteration):  # No home, a relative one, or one of others.
        # As XDG wants it: a relative path is ignored.
        bases = (Path(os.environ.get("XDG_CACHE_HOME", "")), Path.home() / ".cache")
        directory = next(base for base in bases if base.is_absolute()) / "gan_jax" / name
        directory.mkdir(parents=True, exist_ok=True)
        if os.access(directory, os.W_OK | os.X_OK):
            return directory
    return None
