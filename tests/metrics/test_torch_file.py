import collections
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_jax.errors import InputError
from gan_jax.metrics import torch_file
from tests.metrics.torch_files import Storage, Tensor, tensors, write

_ARRAYS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "half": np.array([1.5, -2], np.float16),
    "double": np.array([np.pi]),
    "bn.num_batches_tracked": np.array(7),
    "none": np.zeros((0, 3), np.float32),
}


@pytest.mark.parametrize("old", [False, True], ids=["zip", "pickles"])
def test_arrays_are_read_as_they_were_written(old: bool, tmp_path: Path) -> None:
    found = torch_file.read(write(tmp_path / "a.pth", collections.OrderedDict(tensors(_ARRAYS)), old=old))
    assert found.keys() == _ARRAYS.keys()
    for name, array in _ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "pickles"])
def test_tensors_may_share_a_storage_and_lie_across_it(old: bool, tmp_path: Path) -> None:
    storage = Storage("0", np.arange(12, dtype=np.float32), 12)
    content = {"last": Tensor(storage, 8, (4,), (1,)), "turned": Tensor(storage, 0, (4, 3), (1, 4))}
    found = torch_file.read(write(tmp_path / "a.pth", content, old=old))
    np.testing.assert_array_equal(found["last"], [8, 9, 10, 11])
    np.testing.assert_array_equal(found["turned"], np.arange(12).reshape(3, 4).T)


class _Called:
    """A pickle of it calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


@pytest.mark.parametrize("old", [False, True], ids=["zip", "pickles"])
def test_nothing_that_a_file_names_is_run(old: bool, tmp_path: Path) -> None:
    for k, call in enumerate(
        (
            _Called(os.mkdir, str(tmp_path / "made")),
            _Called(eval, f"__import__('os').mkdir({str(tmp_path / 'made')!r})"),
            _Called(getattr, collections.OrderedDict, "fromkeys"),
            _Called(np.zeros, 3),
        )
    ):
        path = write(tmp_path / f"{k}.pth", tensors(_ARRAYS) | {"more": call}, old=old)
        with pytest.raises(InputError, match=r"it names [\w.]+, which weights have no need of") as info:
            torch_file.read(path)
        assert "\n" not in str(info.value)
    assert not (tmp_path / "made").exists()


def test_what_a_file_may_call_keeps_no_attribute(tmp_path: Path) -> None:
    """BUILD sets attributes of what is on the stack: of a function of Python's own even its defaults."""
    build = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__)s\x86b."
    (tmp_path / "a.pth").write_bytes(build)
    with pytest.raises(InputError, match="holds no weights"):
        torch_file.read(tmp_path / "a.pth")


def _tensor(
    offset: Any = 0, size: Any = (4,), stride: Any = (1,), count: int = 4, values: int = 4
) -> dict[str, Tensor]:
    return {"a": Tensor(Storage("0", np.zeros(values, np.float32), count), offset, size, stride)}


@pytest.mark.parametrize("old", [False, True], ids=["zip", "pickles"])
@pytest.mark.parametrize(
    "content",
    [
        _tensor(offset=1),
        _tensor(offset=-1),
        _tensor(size=(5,)),
        _tensor(stride=(2,)),
        _tensor(stride=(-1,)),
        _tensor(size=(2**40,), stride=(0,)),
        _tensor(size=(2, 2)),
        _tensor(size=[4]),
        _tensor(size=(4.0,)),
        _tensor(count=5),
        _tensor(count=3),
        _tensor(count=-1),
        {"a": Tensor([1.0], 0, (1,), (1,))},  # type: ignore[arg-type]
        {"a": np.float32},
        {"a": 1.0},
        {1: Tensor(Storage("0", np.zeros(4, np.float32), 4), 0, (4,), (1,))},
        {},
        [1, 2],
        None,
        {"model": {"a": [1.0]}},
    ],
    ids=lambda content: (
        "-".join(str(getattr(v, "arguments", v))[:60] for v in content.values())
        if isinstance(content, dict)
        else str(content)
    ),
)
def test_what_is_no_dictionary_of_tensors_is_one_sentence(content: Any, old: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "a.pth", content, old=old)
    with pytest.raises(InputError) as info:
        torch_file.read(path)
    assert str(path) in str(info.value) and "\n" not in str(info.value)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "pickles"])
def test_a_damaged_file_is_one_sentence(old: bool, tmp_path: Path) -> None:
    whole = write(tmp_path / "a.pth", tensors(_ARRAYS), old=old).read_bytes()
    for k, content in enumerate((b"", b"text", b"PK\x03\x04", whole[:40], whole[: len(whole) // 2], whole[:-9])):
        path = tmp_path / f"{k}.pth"
        path.write_bytes(content)
        with pytest.raises(InputError, match="holds no weights"):
            torch_file.read(path)
    with pytest.raises(InputError, match="can't be read"):
        torch_file.read(tmp_path / "nothing.pth")
    with pytest.raises(InputError, match="can't be read"):
        torch_file.read(tmp_path)


def test_numbers_of_an_archive_are_not_unpacked(tmp_path: Path) -> None:
    """A small archive may unpack to more than any memory: PyTorch compresses nothing."""
    path = write(tmp_path / "a.pth", tensors(_ARRAYS), stored=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="compressed"):
        torch_file.read(path)
    (tmp_path / "b.pth").write_bytes(pickle.dumps({"a": 1.0}))
    with pytest.raises(InputError, match="does not begin"):
        torch_file.read(tmp_path / "b.pth")


def test_a_download_that_was_cut_is_said_to_end_too_early(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", tensors({"a": np.zeros(4, np.float32)})).read_bytes()
    for start, reason in ((whole[:-40], "it ends too early"), (b"hello", "it does not begin as one"), (b"", "begin")):
        (tmp_path / "cut").write_bytes(start)
        with pytest.raises(InputError, match=reason):
            torch_file.read(tmp_path / "cut")
