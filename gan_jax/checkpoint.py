"""Checkpoints of a training run: Orbax's atomic saves, verified file by file before they are read.

    STEP/       what Orbax wrote: into a temporary directory first, then renamed
    STEP.json   the manifest, written last: layout version, names and shapes of the leaves, notes, SHA-256 of every file
                and, so that damage to it can't pass for another configuration, of itself

Orbax does not notice a flipped bit in array data, and a killed clean-up can leave a step half deleted. So a step exists
once its manifest does, a clean-up removes the manifest first, and a step whose files do not match its manifest is
skipped for the one before. STEP.damaged and STEP.aside are for the user to look at, and are left alone. Only one
program at a time may save into a directory; if it has several processes, all of them call `save` and `restore`, on a
shared disk, and the first writes the manifests.

Orbax is imported where it is used: the import takes a third of a second, and a run's first step does not need it.
"""

import contextlib
import hashlib
import itertools
import json
import operator
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from gan_jax.errors import InputError
from gan_jax.files import atomic

# Increased whenever a change of GANState or of the manifest makes older checkpoints unreadable.
LAYOUT_VERSION = 3

State = TypeVar("State")

_SCALARS = (bool, int, float, complex, np.generic)
_KINDS = (np.number, np.bool_, jax.dtypes.prng_key)


def save(
    directory: str | Path, step: int, state: Any, *, keep: int = 2, notes: Mapping[str, Any] | None = None
) -> None:
    """Saves `state` as the checkpoint of `step`, which is then the newest, and keeps the latest `keep`.

    A checkpoint of this step that holds this very state stays as it is. Other states of this step or of later ones,
    which another run has left in the directory, are renamed to STEP.aside, with a UserWarning.

    Args:
      directory: holds the checkpoints of one run; created if missing.
      step: the number of the checkpoint, >= 0.
      state: any pytree of arrays, such as a GANState or a population of them. Numbers of Python and NumPy are saved as
        arrays without axes.
      keep: how many checkpoints remain, >= 1; two survive damage to the newest.
      notes: data to store beside the state, as JSON; Python's floats keep every bit.

    Raises:
      OSError: the directory can't be written, or the disk is full; earlier checkpoints are untouched.
      TypeError: step is no integer, the state has leaves that are not arrays of numbers, or notes are not JSON.
      ValueError: step or keep is too small, or the state has no leaves, or an empty one.
    """
    directory, step = Path(directory).absolute(), operator.index(step)
    if step < 0 or keep < 1:
        raise ValueError(f"a checkpoint has a step of at least 0 and keeps at least one, got step={step}, keep={keep}")
    state, noted = _arrays(state), json.loads(json.dumps(notes or {}))
    path = directory / str(step)
    first = jax.process_index() == 0
    if step in steps(directory):
        if _holds(path, state):
            return
        if first:
            _set_aside(path)
    if first:
        directory.mkdir(parents=True, exist_ok=True)
        _clear(directory)
    _barrier(f"make {path}")
    try:
        _write(path, state)
        if first:
            _write_manifest(path, state, noted)
    except OSError:
        # Files that are still being written elsewhere may reappear: the next save removes them.
        with contextlib.suppress(OSError):
            _clear(directory)
        raise
    if first:
        for later in (found for found in steps(directory) if found > step):
            _set_aside(directory / str(later))
        for old in steps(directory)[keep:]:
            _manifest(directory / str(old)).unlink()
            shutil.rmtree(directory / str(old))
    _barrier(f"saved {path}")


def restore(
    directory: str | Path, like: State, *, step: int | None = None, quarantine: bool = False
) -> tuple[int, State]:
    """Loads the newest intact checkpoint, or that of `step`.

    A damaged one is skipped with a UserWarning that names the file.

    Args:
      directory: where `save` saved.
      like: a state of arrays or of `jax.ShapeDtypeStruct`s with the expected structure, shapes and dtypes. Each leaf
        is placed by its `sharding`, however many devices it was saved from; without one, on the default device as a
        fresh array is, which JAX moves to where others are. Where its dtype is one that JAX would narrow (float64,
        unless jax_enable_x64), it stays a NumPy array.
      step: which checkpoint; None for the newest.
      quarantine: rename damaged checkpoints to STEP.damaged, so that the run can save these steps again.

    Returns:
      The step of the checkpoint, and the state.

    Raises:
      InputError: there is no checkpoint, none is intact, or they belong to another configuration or version.
    """
    directory, like = Path(directory).absolute(), _arrays(like)
    found = steps(directory)
    if not found:
        raise InputError(f"{directory} holds no checkpoint, the run was stopped before its first save: start it again")
    if step is not None:
        if step not in found:
            listed = ", ".join(map(str, sorted(found)))
            raise InputError(f"{directory} holds no checkpoint of step {step}: choose one of {listed}")
        manifest, damage = _verified(directory / str(step))
        if damage is not None:
            raise InputError(f"{directory} has a damaged checkpoint of step {step} ({damage}): choose a different step")
        return step, _read(directory / str(step), manifest, like)
    for step in found:
        path = directory / str(step)
        manifest, damage = _verified(path)
        if damage is None:
            return step, _read(path, manifest, like)
        warnings.warn(f"checkpoint {step} is damaged ({damage}); trying the one before it", stacklevel=2)
        if quarantine and jax.process_index() == 0:
            _manifest(path).rename(directory / f"{step}.json.damaged")
            if path.exists():
                path.rename(directory / f"{step}.damaged")
    raise InputError(f"{directory} holds no intact checkpoint, all {len(found)} are damaged: start the run again")


def steps(directory: str | Path) -> list[int]:
    """The steps with a checkpoint, newest first; they may turn out to be damaged."""
    return sorted((int(path.stem) for path in Path(directory).glob("*.json") if path.stem.isdecimal()), reverse=True)


def notes(directory: str | Path, step: int) -> dict[str, Any]:
    """The notes saved with the checkpoint of `step`, which `restore` has found intact."""
    return json.loads(_manifest(Path(directory) / str(step)).read_text())["notes"]


def _arrays(state: State) -> State:
    """The state with numbers of Python and NumPy as arrays. Raises TypeError and ValueError as `save` does."""
    if not jax.tree.leaves(state):
        raise ValueError("a checkpoint holds arrays and this state has none: give the state that is to be restored")
    state = jax.tree.map(lambda leaf: np.asarray(leaf) if isinstance(leaf, _SCALARS) else leaf, state)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        name, dtype = jax.tree_util.keystr(path) or "the state", getattr(leaf, "dtype", None)
        if dtype is None or not any(jax.dtypes.issubdtype(dtype, kind) for kind in _KINDS):
            raise TypeError(
                f"{name} is {dtype or type(leaf).__name__}: a checkpoint holds arrays of numbers; use notes"
            )
        if 0 in leaf.shape:
            raise ValueError(f"{name} is empty, {list(leaf.shape)}: a checkpoint holds no empty arrays, leave it out")
    return state


def _holds(path: Path, state: Any) -> bool:
    """Whether the checkpoint is whole and its state is this one, bit for bit."""
    manifest, damage = _verified(path)
    same = damage is None and manifest["version"] == LAYOUT_VERSION and manifest["leaves"] == _leaves(state)
    if same:
        saved = _read(path, manifest, state)
        same = all(jax.tree.leaves(jax.tree.map(lambda a, b: _bits(a) == _bits(b), saved, state)))
    if jax.process_count() == 1:
        return same
    return bool(multihost_utils.process_allgather(np.asarray(same)).all())


def _bits(leaf: Any) -> list[bytes]:
    """The bits of the parts of an array that this process holds."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    if getattr(leaf, "is_fully_addressable", True):
        return [np.asarray(leaf).tobytes()]
    return [np.asarray(shard.data).tobytes() for shard in leaf.addressable_shards]


def _set_aside(path: Path) -> None:
    """Renames a checkpoint that another run has left, its manifest first: so it is whole or does not count."""
    names = (f"aside{n}" for n in itertools.chain([""], itertools.count(2)))
    suffix = next(name for name in names if not path.with_name(f"{path.name}.{name}").exists())
    aside = path.with_name(f"{path.name}.{suffix}")
    _manifest(path).rename(_manifest(path).with_name(f"{path.name}.json.{suffix}"))
    if path.exists():
        path.rename(aside)
    warnings.warn(
        f"{path.parent} holds a checkpoint of step {path.name} by another run, now renamed to {aside.name}: give every "
        "run a directory of its own",
        stacklevel=3,
    )


def _read(path: Path, manifest: dict[str, Any], like: State) -> State:
    if manifest["version"] != LAYOUT_VERSION:
        raise InputError(
            f"{path} was saved in layout {manifest['version']} and this gan_jax reads layout {LAYOUT_VERSION}: "
            "use the version of gan_jax recorded in the run's config.json"
        )
    different = sorted(dict(manifest["leaves"].items() ^ _leaves(like).items()))
    if different:
        raise InputError(
            f"{path} belongs to another configuration, it differs in {different[0]}: resume a run with the options "
            "it was started with"
        )
    from orbax.checkpoint import v1 as ocp

    def narrowed(leaf: Any) -> bool:
        return jax.dtypes.canonicalize_dtype(leaf.dtype, allow_extended_dtype=True) != leaf.dtype

    def place(leaf: Any) -> Any:
        sharding = _sharding(leaf)
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) and sharding is None:
            sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])  # NumPy has no arrays of keys.
        if sharding is None or narrowed(leaf):
            return np.empty(leaf.shape, leaf.dtype)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    def placed(leaf: Any) -> Any:
        # Of several processes every host has its own: there is no default device of all.
        stays = isinstance(leaf, jax.Array) or narrowed(leaf) or jax.process_count() > 1
        return leaf if stays else jax.device_put(leaf)

    return jax.tree.map(placed, ocp.load(path, jax.tree.map(place, like)))


def _sharding(leaf: Any) -> jax.sharding.Sharding | None:
    """Where a leaf was put; None where JAX may put it: on the default device, or to other arrays that it meets."""
    return getattr(leaf, "sharding", None) if getattr(leaf, "committed", True) else None


def _verified(path: Path) -> tuple[dict[str, Any], str | None]:
    """The manifest of a checkpoint, and what is wrong with it or with the files, or None."""
    name = _manifest(path).name
    try:
        manifest = json.loads(_manifest(path).read_text())
        recorded = manifest.pop("sha256", None)
        # Layout 1 had no checksum of the manifest: it is not damaged but too old, which `_read` reports.
        if recorded != _digest(manifest) and (recorded is not None or manifest.get("version") != 1):
            return {}, f"{name} has changed"
        expected, found = manifest["files"], _checksums(path)
    except (ValueError, TypeError, AttributeError, KeyError):
        return {}, f"{name} is not a manifest"
    except OSError as error:
        return {}, f"{error.filename} can't be read: {error.strerror}"
    wrong = sorted(dict(expected.items() - found.items()))
    return manifest, f"{wrong[0]} {'has changed' if wrong[0] in found else 'is missing'}" if wrong else None


def _barrier(what: str) -> None:
    """Waits for the other processes of the program, where there are any."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def _write(path: Path, state: Any) -> None:
    from orbax.checkpoint import v1 as ocp

    try:
        ocp.save(path, state)
    except ValueError as error:  # How TensorStore reports an error of the operating system.
        code = re.search(r"os_error_code='(\d+)'", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from error


def _write_manifest(path: Path, state: Any, notes: Mapping[str, Any]) -> None:
    """Writes the manifest, which turns the files into a checkpoint."""
    manifest = {"version": LAYOUT_VERSION, "leaves": _leaves(state), "notes": dict(notes), "files": _checksums(path)}
    with atomic(_manifest(path)) as partial:
        partial.write_text(json.dumps(manifest | {"sha256": _digest(manifest)}, indent=1))


def _clear(directory: Path) -> None:
    """Removes files without a manifest, left by a save or a clean-up that was killed or found the disk full."""
    whole = [str(step) for step in steps(directory)]
    for path in directory.iterdir():
        if re.fullmatch(r"\d+|\d+\.orbax-checkpoint-tmp.*", path.name) and path.name not in whole:
            shutil.rmtree(path)
        elif re.fullmatch(r"\.\d+\.json\.partial", path.name):
            path.unlink()


def _manifest(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _leaves(state: Any) -> dict[str, str]:
    leaves: list[tuple[Any, Any]] = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): f"{leaf.dtype.name}{list(leaf.shape)}" for path, leaf in leaves}


def _checksums(path: Path) -> dict[str, str]:
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
