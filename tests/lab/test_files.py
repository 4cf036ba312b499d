import errno
import os
from pathlib import Path

import filelock
import pytest

from gan_jax import InputError
from gan_jax.lab import files


def test_a_directory_is_held_by_one(tmp_path: Path) -> None:
    with files.lock(tmp_path), pytest.raises(InputError, match="is in use by another process"), files.lock(tmp_path):
        pass
    with files.lock(tmp_path):
        pass


@pytest.mark.parametrize(
    "error",
    [NotImplementedError(), *(OSError(n, os.strerror(n)) for n in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP))],
)
def test_a_file_system_without_locks_is_used_without(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: filelock.FileLock) -> None:
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with files.lock(tmp_path):
        pass


def test_what_the_disk_refuses_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: filelock.FileLock) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with pytest.raises(InputError, match=r"can't be written \(Read-only file system\)"), files.lock(tmp_path):
        pass


def test_numbers_are_counted_on_from_the_last(tmp_path: Path) -> None:
    assert files.next_free(tmp_path / "none").name == "001"
    for name in ("002", "010", "x"):
        (tmp_path / name).mkdir()
    assert [path.name for path in files.numbered(tmp_path)] == ["002", "010"]
    assert files.next_free(tmp_path).name == "011"
