import errno
import json
import os
from pathlib import Path

import filelock
import numpy as np
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


def test_json_has_null_for_what_it_has_no_word_for(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    record = {"a": nan, "b": [1.5, inf, (-inf, "nan")], "c": {"d": np.float64(nan), "e": None, "f": True, "g": 3}}
    files.write_json(tmp_path / "a.json", record)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    found = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    expected = {"a": None, "b": [1.5, None, [None, "nan"]], "c": {"d": None, "e": None, "f": True, "g": 3}}
    assert found == expected


def test_trying_whether_a_file_can_be_written_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "folder").mkdir()
    files.check_writable(tmp_path / "old.json")
    files.check_writable(tmp_path / "new.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "old.json"]
    assert (tmp_path / "old.json").read_text() == "old"
    for path, words in (
        (tmp_path / "folder", "is a directory"),
        (tmp_path / "nowhere" / "a.json", "no directory"),
        (Path("/proc/a.json"), "can't be written"),
    ):
        with pytest.raises(InputError, match=words):
            files.check_writable(path)
