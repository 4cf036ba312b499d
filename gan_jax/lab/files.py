"""Files and directories of the commands: atomic writes, locks, numbered directories. Their only home, with
`gan_jax.files`."""

import contextlib
import errno
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock

from gan_jax.errors import InputError
from gan_jax.files import LOCK, atomic
from gan_jax.files import lock as lock  # The commands' own name for it.


def write_text(path: Path, text: str) -> None:
    """Writes a text file that appears whole or not at all."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, record: Any, *, indent: int | None = 2) -> None:
    """Writes a JSON file that appears whole or not at all; NaN and infinity, which JSON does not have, as null."""
    write_text(path, json.dumps(_finite(record), indent=indent, allow_nan=False) + "\n")


def _finite(record: Any) -> Any:
    if isinstance(record, Mapping):
        return {key: _finite(value) for key, value in record.items()}
    if isinstance(record, list | tuple):
        return [_finite(value) for value in record]
    return None if isinstance(record, float) and not math.isfinite(record) else record


def check_writable(path: Path) -> None:
    """Tries whether a file can be written, before what takes long and would be lost; an old one stays as it is.

    Raises:
      InputError: there is no such directory, nothing may be written into it, or the path is a directory.
    """
    check_parent(path)
    with write_errors(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a directory")
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            pass


@contextlib.contextmanager
def write_errors(path: Path, option: str = "--out") -> Iterator[None]:
    """What the operating system refuses, as a sentence that names the path and the option that chooses another."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} can't be written ({error.strerror or error}): choose a writable place with {option}"
        ) from error


def check_name(directory: Path) -> None:
    """Raises InputError unless checkpoints can be kept in a directory: its whole name must be UTF-8, as Orbax takes it.

    Python has a str for any name, and under some locales one for a name that is UTF-8 that is none.
    """
    path = directory.absolute()
    with contextlib.suppress(UnicodeEncodeError):
        if str(path).encode() == os.fsencode(path):
            return
    try:
        os.fsencode(path).decode()
        what = "is no text in this locale, as checkpoints need it: set LC_ALL=C.UTF-8"
    except UnicodeError:
        what = "is not UTF-8, as checkpoints need it: choose a directory with another name"
    raise InputError(f"the name {str(path)!a} {what}")


def check_parent(path: Path) -> None:
    """Raises InputError unless the directory that a file is to be written into exists."""
    if not path.parent.is_dir():
        raise InputError(f"there is no directory {path.parent}: make it, or choose a different --out")


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


def make_next(parent: Path) -> Path:
    """Makes the directory after the last numbered one, of several starts at the same time one for each."""
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        with contextlib.suppress(FileExistsError):
            (path := next_free(parent)).mkdir()
            return path
