import os
from pathlib import Path

import numpy as np
import pytest

from gan_jax.data.rows import Rows
from gan_jax.errors import InputError


def mapped(path: Path, array: np.ndarray) -> np.ndarray:
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def resident_bytes(path: Path) -> int:
    """How much of this process's mappings of a file lies in memory."""
    kib, here = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *_ = line.split()
        if "-" in first and not first.endswith(":"):
            here = line.endswith(str(path))
        elif here and first == "Rss:":
            kib += int(line.split()[1])
    return 1024 * kib


@pytest.mark.parametrize("shape", [(50, 3, 4, 1), (50,)])
def test_rows_of_memory_and_of_a_file_are_those_of_the_array(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape).astype(np.int32)
    numbers = np.array([[7, 0, 49], [7, 3, 12]])
    for of in (array, mapped(tmp_path / "x.npy", array)):
        taken = Rows(of).take(numbers)
        np.testing.assert_array_equal(taken, array[numbers])
        assert type(taken) is np.ndarray


def test_a_part_of_a_memory_map_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    array = np.arange(20, dtype=np.uint8)
    np.testing.assert_array_equal(Rows(mapped(tmp_path / "x.npy", array)[5:]).take(np.array([0])), [5])


def test_taking_rows_maps_no_page(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    x = mapped(path, np.ones((256, 64, 64, 3), np.uint8))
    before = resident_bytes(path)
    Rows(x).take(np.arange(256))
    assert resident_bytes(path) == before
    assert x[:100].sum() == 100 * 64 * 64 * 3
    assert resident_bytes(path) >= before + 2**20


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def overwrite(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [cut, overwrite])
def test_a_file_that_changes_is_noticed(tmp_path: Path, change: "os.PathLike[str]") -> None:
    path = tmp_path / "x.npy"
    rows = Rows(mapped(path, np.ones((5, 1000), np.uint8)))
    rows.take(np.array([4]))
    change(path)  # type: ignore[operator]
    for numbers in ([0], [4]):
        with pytest.raises(InputError, match=r"x\.npy was changed while it was read: put it back"):
            rows.take(np.array(numbers))


def test_a_file_that_is_replaced_stays_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    rows = Rows(mapped(path, np.ones(5, np.uint8)))
    np.save(tmp_path / "y.npy", np.zeros(5, np.uint8))
    os.replace(tmp_path / "y.npy", path)
    np.testing.assert_array_equal(rows.take(np.arange(5)), np.ones(5))
