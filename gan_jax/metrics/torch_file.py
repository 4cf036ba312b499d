"""Weights that `torch.save` wrote, read as NumPy arrays, without PyTorch and without running what the file names.

Such a file is a pickle, which may name any function to be called. Here a pickle may name only what a dictionary of
tensors needs, and what it gets under those names are functions of this module that check what they are given.

Both of PyTorch's formats are read: a zip archive (since 1.6), and the older sequence of pickles with the numbers behind
them, in which the usual weights of Inception are written.
"""

import io
import math
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gan_jax.errors import InputError

_STORAGES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_WRONG = (
    pickle.UnpicklingError, zipfile.BadZipFile, EOFError, AttributeError, LookupError, TypeError, ValueError,
    OverflowError, NotImplementedError, RecursionError, MemoryError,
)  # fmt: skip


class _Storage(NamedTuple):
    """The numbers of one or several tensors: `values` is called once all pickles are read."""

    values: Callable[[], np.ndarray]


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self) -> np.ndarray:
        values = self.storage.values()
        sizes = zip(self.size, self.stride, strict=True)
        count, last = math.prod(self.size), self.offset + sum((n - 1) * step for n, step in sizes)
        numbers = (self.offset, *self.size, *self.stride)
        if (
            not all(type(n) is int and n >= 0 for n in numbers)
            or count > len(values)
            or (count and last >= len(values))
        ):
            raise ValueError("a tensor does not lie in its storage")
        if not count:
            return np.zeros(self.size, values.dtype)
        strides = [step * values.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.size, strides, writeable=False).copy()


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a file that `torch.save(module.state_dict(), path)` wrote.

    Args:
      path: the file.

    Returns:
      The arrays by name, of the dtype that they were saved with.

    Raises:
      InputError: the file can't be read, or holds anything but a dictionary of tensors.
    """
    try:
        with open(path, "rb") as file:
            is_zip = zipfile.is_zipfile(file)
            file.seek(0)
            found = _of_zip(file) if is_zip else _of_pickles(file)
        if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
            raise ValueError("it is no dictionary of tensors")
        tensors = {name: tensor for name, tensor in found.items() if isinstance(tensor, _Tensor)}
        if not tensors or len(tensors) < len(found):
            raise ValueError("it is no dictionary of tensors")
        return {name: tensor.array() for name, tensor in tensors.items()}
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or error}): choose a weight file") from error
    except _WRONG as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path} holds no weights as torch.save(module.state_dict(), FILE) writes them ({reason}): choose another "
            "file"
        ) from error


class _Unpickler(pickle.Unpickler):
    """Of all that a pickle may name, only a dictionary, storages and the making of tensors; and nothing of theirs."""

    def __init__(
        self, file: io.BufferedReader | io.BytesIO, storage: Callable[[tuple[Any, ...]], _Storage] | None = None
    ) -> None:
        super().__init__(file, encoding="utf-8")
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _Dictionary
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _TENSOR
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _PARAMETER
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"it names {module}.{name}, which weights have no need of")

    def persistent_load(self, pid: Any) -> _Storage:
        if self._storage is None or type(pid) is not tuple or pid[0] != "storage" or pid[1] not in _STORAGES.values():
            raise pickle.UnpicklingError("it refers to something that is not a storage")
        return self._storage(pid)


class _Dictionary(dict):
    """In place of an OrderedDict. (PyTorch sets an attribute, the versions of modules, which is of no use here.)"""

    def __setstate__(self, state: Any) -> None:
        pass


class _Maker:
    """A function that a pickle may call; unlike Python's own it has no attribute that a pickle could set."""

    __slots__ = ()

    def __call__(self, *arguments: Any) -> Any:
        storage, offset, size, stride, *_ = arguments
        if type(storage) is not _Storage or type(size) is not tuple or type(stride) is not tuple:
            raise ValueError("a tensor is made of something else than a storage")
        return _Tensor(storage, offset, size, stride)


class _Parameter(_Maker):
    __slots__ = ()

    def __call__(self, *arguments: Any) -> Any:
        return arguments[0]


_TENSOR, _PARAMETER = _Maker(), _Parameter()


def _of_zip(file: io.BufferedReader) -> Any:
    with zipfile.ZipFile(file) as archive:
        index = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        if index is None:
            raise ValueError("its archive has no data.pkl")
        folder = index.removesuffix("data.pkl")
        order = (
            ">" if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") == b"big" else "<"
        )
        kept: dict[str, np.ndarray] = {}

        def values(dtype: str, key: Any, count: Any) -> np.ndarray:
            entry = archive.getinfo(f"{folder}data/{key}")
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError("its numbers are compressed")
            if key not in kept:
                kept[key] = np.frombuffer(archive.read(entry), order + dtype)
            if len(kept[key]) != count:
                raise ValueError("a storage is not as long as it says")
            return kept[key]

        def storage(pid: tuple[Any, ...]) -> _Storage:
            _, dtype, key, _, count = pid
            return _Storage(lambda: values(dtype, key, count))

        found = _Unpickler(io.BytesIO(archive.read(index)), storage).load()
        # While the archive is open.
        if isinstance(found, Mapping):
            for tensor in found.values():
                if isinstance(tensor, _Tensor):
                    tensor.storage.values()
        return found


def _of_pickles(file: io.BufferedReader) -> Any:
    start = file.read(2)
    if start == b"PK":
        raise ValueError("it ends too early")
    if not start.startswith(pickle.PROTO):
        raise ValueError("it does not begin as one")
    file.seek(0)
    if _Unpickler(file).load() != _MAGIC or _Unpickler(file).load() != _PROTOCOL:
        raise ValueError("it does not begin as one")
    order = "<" if _Unpickler(file).load()["little_endian"] else ">"
    kept: dict[Any, np.ndarray] = {}
    dtypes: dict[Any, tuple[str, Any]] = {}

    def storage(pid: tuple[Any, ...]) -> _Storage:
        _, dtype, key, _, count, view = pid
        if view is not None:
            raise ValueError("a storage is a part of another")
        if dtypes.setdefault(key, (dtype, count)) != (dtype, count):
            raise ValueError("a storage is of two kinds")
        return _Storage(lambda: kept[key])

    found = _Unpickler(file, storage).load()
    for key in _Unpickler(file).load():
        dtype, count = dtypes[key]
        (written,) = np.frombuffer(file.read(8), f"{order}i8")
        if written != count:
            raise ValueError("a storage is not as long as it says")
        kept[key] = np.frombuffer(file.read(count * np.dtype(dtype).itemsize), order + dtype)
        if len(kept[key]) != count:
            raise ValueError("it ends too early")
    return found
