"""Checkpoints of a training run: Orbax's atomic saves, verified file by file before they are read.

    STEP/       what Orbax wrote: into a temporary directory first, then renamed
    STEP.json   the manifest, written last: layout version, names and shapes of the leaves, SHA-256 of every file

Orbax does not notice a flipped bit in array data, and a killed clean-up can leave a step half deleted. So a step counts
from the moment its manifest is there, the manifest is the first thing that a clean-up removes, and a step whose files
do not match it is passed over for the one before.
"""

import hashlib
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from gan_jax.errors import InputError
from gan_jax.gan import GANState

# Raised whenever GANState or the manifest change so that older checkpoints can't be read.
LAYOUT_VERSION = 1


def save(directory: Path, state: GANState, *, keep: int = 2) -> None:
    """Saves `state` as the checkpoint of its step and keeps the latest `keep`; a step that is there already stays.

    Args:
      directory: holds the checkpoints of one run; made if missing.
      state: the state to save.
      keep: how many checkpoints remain, >= 1; two survive damage to the newest.

    Raises:
      OSError: the directory can't be written; earlier checkpoints are untouched.
    """
    directory = directory.absolute()
    step = int(state.step)
    path = directory / str(step)
    if step in _steps(directory):
        return
    directory.mkdir(parents=True, exist_ok=True)
    if path.exists():
        shutil.rmtree(path)
    ocp.save(path, state)
    manifest = {"version": LAYOUT_VERSION, "leaves": _leaves(state), "files": _checksums(path)}
    partial = directory / f".{step}.json.partial"
    partial.write_text(json.dumps(manifest, indent=1))
    os.replace(partial, _manifest(path))
    for old in _steps(directory)[keep:]:
        _manifest(directory / str(old)).unlink()
        shutil.rmtree(directory / str(old))


def restore(directory: Path, like: GANState, *, quarantine: bool = False) -> GANState:
    """The newest whole checkpoint, on the default device.

    A damaged one is passed over with a UserWarning that names the file.

    Args:
      directory: where `save` saved.
      like: a state, of arrays or of `jax.ShapeDtypeStruct`s, with the structure, shapes and dtypes expected.
      quarantine: rename damaged checkpoints to STEP.damaged, so that the run can save these steps anew.

    Raises:
      InputError: there is no checkpoint, none that is whole, or they belong to another configuration or version.
    """
    directory = directory.absolute()
    steps = _steps(directory)
    if not steps:
        raise InputError(f"{directory} holds no checkpoint: the run was stopped before its first save; start it anew")
    for step in steps:
        path = directory / str(step)
        if (damage := _damage(path)) is None:
            return _read(path, like)
        warnings.warn(f"checkpoint {step} is damaged ({damage}); trying the one before it", stacklevel=2)
        if quarantine:
            _manifest(path).rename(directory / f"{step}.json.damaged")
            if path.exists():
                path.rename(directory / f"{step}.damaged")
    raise InputError(f"{directory} holds no whole checkpoint, all {len(steps)} are damaged: start the run anew")


def _read(path: Path, like: GANState) -> GANState:
    manifest = json.loads(_manifest(path).read_text())
    if manifest["version"] != LAYOUT_VERSION:
        raise InputError(
            f"{path} was saved in layout {manifest['version']} and this gan_jax reads layout {LAYOUT_VERSION}: "
            "use the gan_jax whose version stands in the run's config.json"
        )
    different = sorted(dict(manifest["leaves"].items() ^ _leaves(like).items()))
    if different:
        raise InputError(
            f"{path} belongs to another configuration, it differs in {different[0]}: resume a run with the options "
            "that it was started with"
        )
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return ocp.load(
        path, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), like)
    )


def _damage(path: Path) -> str | None:
    """What is wrong with the files of a checkpoint, or None."""
    try:
        expected = json.loads(_manifest(path).read_text())["files"]
    except (ValueError, KeyError):
        return f"{_manifest(path).name} is not a manifest"
    found = _checksums(path)
    wrong = sorted(dict(expected.items() - found.items()))
    if not wrong:
        return None
    return f"{wrong[0]} has {'changed' if wrong[0] in found else 'gone'}"


def _manifest(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _steps(directory: Path) -> list[int]:
    """Steps with a manifest, newest first."""
    return sorted((int(path.stem) for path in directory.glob("*.json") if path.stem.isdecimal()), reverse=True)


def _leaves(state: GANState) -> dict[str, str]:
    leaves: list[tuple[Any, Any]] = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): f"{np.dtype(leaf.dtype).name}{list(leaf.shape)}" for path, leaf in leaves}


def _checksums(path: Path) -> dict[str, str]:
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
