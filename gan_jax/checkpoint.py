"""Checkpoints of a training run: Orbax's atomic saves, verified when they are read.

Orbax writes a step into a temporary directory and renames it, so a killed save leaves the steps before it whole. It does
not notice a flipped bit in array data; therefore every checkpoint carries the SHA-256 of its leaves, and a step that
can't be read or does not match is passed over for the one before it.
"""

import hashlib
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from gan_jax.errors import InputError
from gan_jax.gan import GANState

# Raised whenever GANState or the metadata below change so that older checkpoints can't be read.
LAYOUT_VERSION = 1

_KEEP = ocp.training.preservation_policies.LatestN


class _Damaged(Exception):
    """A checkpoint that is there and can't be trusted; the message says why."""


def save(directory: Path, state: GANState, *, keep: int = 2) -> None:
    """Saves `state` as the checkpoint of its step and keeps the latest `keep`; a step that is there already stays.

    Args:
      directory: holds one sub-directory a step; made if missing.
      state: the state to save.
      keep: how many checkpoints remain, >= 1; two survive damage to the newest.

    Raises:
      OSError: the directory can't be written; earlier checkpoints are untouched.
    """
    step = int(state.step)
    with ocp.training.Checkpointer(directory.absolute(), preservation_policy=_KEEP(keep)) as checkpointer:
        if step not in {checkpoint.step for checkpoint in checkpointer.checkpoints}:
            metadata = {"version": LAYOUT_VERSION, "layout": _layout(state), "sha256": _fingerprint(state)}
            checkpointer.save(step, state, force=True, custom_metadata=metadata)


def restore(directory: Path, like: GANState, *, quarantine: bool = False) -> GANState:
    """The newest whole checkpoint, on the default device.

    Args:
      directory: where `save` saved.
      like: a state, of arrays or of `jax.ShapeDtypeStruct`s, with the structure, shapes and dtypes expected.
      quarantine: rename damaged checkpoints to STEP.damaged, so that the run can save these steps anew.

    Raises:
      InputError: there is no checkpoint, none that is whole, or they belong to another configuration or version.
    """
    if not directory.is_dir():
        raise InputError(f"{directory} holds no checkpoints: the run was stopped before its first save; start it anew")
    steps = sorted((int(path.name) for path in directory.iterdir() if path.name.isdecimal()), reverse=True)
    for step in steps:
        path = directory.absolute() / str(step)
        try:
            return _read(path, like)
        except _Damaged as reason:
            warnings.warn(
                f"checkpoint {path.name} in {directory} is damaged ({reason}); trying the one before it", stacklevel=2
            )
            if quarantine:
                path.rename(path.with_suffix(".damaged"))
    raise InputError(f"{directory} holds no whole checkpoint of {len(steps)}: start the run anew")


def _read(path: Path, like: GANState) -> GANState:
    try:
        metadata = ocp.metadata(path).custom_metadata
    except Exception as error:  # Orbax, tensorstore and json each raise their own for a damaged file.
        raise _Damaged(f"its metadata can't be read: {type(error).__name__}") from error
    if not metadata or "version" not in metadata:
        raise _Damaged("its metadata is incomplete")
    if metadata["version"] != LAYOUT_VERSION:
        raise InputError(
            f"{path} was saved in layout {metadata['version']} and this gan_jax reads layout {LAYOUT_VERSION}: "
            "use the gan_jax that is named in the run's config.json"
        )
    if metadata["layout"] != _layout(like):
        different = sorted(set(metadata["layout"].items()) ^ set(_layout(like).items()))
        raise InputError(
            f"{path} belongs to another configuration, it differs for example in {different[0][0]} "
            f"{different[0][1]}: resume a run with the options that it was started with"
        )
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), like)
    try:
        state = ocp.load(path, target)
    except Exception as error:  # As above: the layout fits, so whatever fails now is the data.
        raise _Damaged(f"its arrays can't be read: {type(error).__name__}") from error
    if _fingerprint(state) != metadata["sha256"]:
        raise _Damaged("its checksum does not match")
    return state


def _named_leaves(state: GANState) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(state)]


def _layout(state: GANState) -> dict[str, str]:
    return {name: f"{np.dtype(leaf.dtype).name}{list(leaf.shape)}" for name, leaf in _named_leaves(state)}


def _fingerprint(state: GANState) -> str:
    digest = hashlib.sha256()
    for name, leaf in _named_leaves(state):
        digest.update(name.encode())
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()
