import concurrent.futures
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


def test_starts_at_the_same_time_get_a_number_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(files.make_next, [tmp_path / "runs"] * 24))
    assert sorted(path.name for path in made) == [f"{n:03d}" for n in range(1, 25)]

    # Another start is quicker, twice.
    def next_free(parent: Path) -> Path:
        path = free(parent)
        if int(path.name) < 27:
            path.mkdir()
        return path

    free = files.next_free
    monkeypatch.setattr(files, "next_free", next_free)
    assert files.make_next(tmp_path / "runs").name == "027"


@pytest.mark.parametrize("name", ["a", "a b", "\xfc", "\u732b", "100%", "a#b?c"])
def test_names_that_are_text_may_hold_checkpoints(name: str) -> None:
    files.check_name(Path(name))


@pytest.mark.parametrize("name", [b"caf\xe9", b"\xff", b"a/\xc3/b"])
def test_names_that_are_not_utf8_may_not(name: bytes) -> None:
    with pytest.raises(InputError, match="is not UTF-8, as checkpoints need it: choose a directory with another name"):
        files.check_name(Path(os.fsdecode(name)))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_names_that_python_and_orbax_would_spell_in_two_ways_may_not(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsencode", lambda path: str(path).encode(encoding, "surrogateescape"))
    files.check_name(Path("a"))
    for name in (b"caf\xe9", "\xfc".encode()):
        with pytest.raises(InputError, match="as checkpoints need it"):
            files.check_name(Path(name.decode(encoding, "surrogateescape")))


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
