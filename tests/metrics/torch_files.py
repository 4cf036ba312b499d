"""Files as `torch.save` writes them, in both of its formats, made by Python's own pickle: PyTorch is no dependency."""

import collections
import contextlib
import io
import pickle
import struct
import sys
import types
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

KINDS = {"f4": "FloatStorage", "f2": "HalfStorage", "f8": "DoubleStorage", "i8": "LongStorage"}
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Storage(NamedTuple):
    """Numbers of tensors. `count` is how many the pickle says there are."""

    key: str
    values: np.ndarray
    count: int


class Tensor:
    """A view of a storage, pickled as PyTorch's are."""

    def __init__(self, storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.arguments = storage, offset, size, stride, False, collections.OrderedDict()

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


def tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """A tensor with a storage of its own for every array."""
    found = {}
    for k, (name, array) in enumerate(arrays.items()):
        strides = tuple(step // array.itemsize for step in array.strides)
        found[name] = Tensor(Storage(str(k), array.ravel(), array.size), 0, array.shape, strides)
    return found


def write(path: Path, content: Any, *, old: bool = False, stored: int = zipfile.ZIP_STORED) -> Path:
    """Writes what may be a dictionary of tensors, or anything else."""
    storages: dict[str, Storage] = {}
    with _torch():
        index = io.BytesIO()
        _Pickler(index, storages, old).dump(content)
    if not old:
        with zipfile.ZipFile(path, "w", stored) as archive:
            archive.writestr("archive/data.pkl", index.getvalue())
            archive.writestr("archive/byteorder", "little")
            for key, storage in storages.items():
                archive.writestr(f"archive/data/{key}", storage.values.tobytes())
        return path
    parts = [pickle.dumps(part, 2) for part in (_MAGIC, _PROTOCOL, {"little_endian": True})]
    parts += [index.getvalue(), pickle.dumps(list(storages), 2)]
    parts += [struct.pack("<q", len(storage.values)) + storage.values.tobytes() for storage in storages.values()]
    path.write_bytes(b"".join(parts))
    return path


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, storages: dict[str, Storage], old: bool) -> None:
        super().__init__(file, protocol=2)
        self._storages, self._old = storages, old

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, Storage):
            return None
        self._storages[value.key] = value
        kind = getattr(sys.modules["torch"], KINDS[value.values.dtype.str[1:]])
        whole = "storage", kind, value.key, "cpu", value.count
        return (*whole, None) if self._old else whole


@contextlib.contextmanager
def _torch() -> Iterator[None]:
    """Modules with the names that PyTorch's pickles name."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in KINDS.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*_: Any) -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
