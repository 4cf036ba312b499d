"""Files that appear whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


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
