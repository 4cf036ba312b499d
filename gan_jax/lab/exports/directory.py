"""The directory of an export: written whole, verified when it is read.

export.json           written last: what the generator is and how it was made, SHA-256 of every other file
weights.safetensors   the arrays of the players by name, `generator/params/Dense_0/kernel`
generator.stablehlo   the program (`program`), and load.py, which loads it
README.md             the model card (`card`)
samples.png
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from gan_jax import images
from gan_jax.errors import InputError
from gan_jax.files import atomic
from gan_jax.gan import GAN, GANState, Player
from gan_jax.lab import files
from gan_jax.lab.experiment import Table
from gan_jax.lab.exports import program as programs
from gan_jax.lab.job import Job
from gan_jax.lab.runs import directory, starting

FORMAT = 1
"""Increased whenever a change makes older exports unreadable."""

RECORD, WEIGHTS = "export.json", "weights.safetensors"


def is_export(path: Path) -> bool:
    """Whether an export lies here, of any format."""
    return (path / RECORD).is_file()


def check_vacant(path: Path, *, overwrite: bool) -> None:
    """Raises InputError unless an export can be written here: there is nothing, or one that may be replaced."""
    if files.is_free(path):
        return
    if not is_export(path):
        raise InputError(f"{path} holds something that is no export: choose a different --out")
    if not overwrite:
        raise InputError(f"{path} exists already: choose a different --out, or --overwrite to replace that export")


def write(
    path: Path,
    job: Job,
    gan: GAN,
    state: GANState,
    about: Mapping[str, Any],
    picture: np.ndarray,
    *,
    whole: bool = True,
) -> None:
    """Writes an export.

    Args:
      path: the directory; what lies there is replaced.
      job: what the GAN was made by.
      gan: the GAN.
      state: what it has learned; the averaged generator is what is handed on, where there is an average.
      about: how it was made, `about.KEYS`.
      picture: of its samples, uint8 RGB.
      whole: whether to write everything; or else the generator's weights alone, as float16, without a program.

    Raises:
      OSError: something can't be written.
    """
    from gan_jax.lab.exports.card import card  # Not earlier: who reads needs no report.

    path.mkdir(parents=True, exist_ok=True)
    (path / RECORD).unlink(missing_ok=True)
    weights = {name: np.asarray(leaf) for name, leaf in starting.weights_of(state).items()}
    if not whole:
        weights = {
            name: leaf.astype(np.float16) if leaf.dtype == np.float32 else leaf
            for name, leaf in weights.items()
            if name.startswith("generator/")
        }
    z, y = programs.inputs_of(job, gan)
    record = {
        "format": FORMAT,
        "written_by": directory.versions().get("gan-jax", "unknown"),
        **directory.record_of(dataclasses.replace(job, data=_without_path(job))),
        **about,
        "prior": programs.described(gan),
        "z": _described(z),
        "y": None if y is None else jax.tree.map(_described, y),
        "kind": gan.conditioning.kind,
        "data_range": list(gan.data_range),
        "classes": list(job.classes),
        "weights": {name: [leaf.dtype.name, list(leaf.shape)] for name, leaf in weights.items()},
    }
    with atomic(path / WEIGHTS) as partial:
        partial.write_bytes(safetensors.numpy.save(weights))
    images.save_png(path / "samples.png", picture)
    if whole:
        with atomic(path / "generator.stablehlo") as partial:
            partial.write_bytes(programs.program(job, gan, state))
        files.write_text(path / "load.py", programs.loader(job, gan))
    files.write_text(path / "README.md", card(record, whole=whole))
    names = [WEIGHTS, "samples.png", "README.md", *(["generator.stablehlo", "load.py"] if whole else [])]
    record["files"] = {name: _digest((path / name).read_bytes()) for name in names}
    files.write_json(path / RECORD, record)


def read(path: Path, table: Table) -> tuple[Job, GAN, GANState, dict[str, Any]]:
    """The job, GAN, state and record of an export.

    The state has no optimizers, and an empty discriminator where only the generator was handed on.

    Raises:
      InputError: the export is of another format, is not whole, or its experiment is not in the table or makes other
        networks by now.
    """
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
        if (found := record["format"]) != FORMAT:
            raise InputError(
                f"{path} is an export of format {found} and this gan_jax reads format {FORMAT}: use the version that "
                f"wrote it, gan-jax {record['written_by']}, or its load.py, which needs none"
            )
        content = (path / WEIGHTS).read_bytes()
        if _digest(content) != record["files"][WEIGHTS]:
            raise InputError(f"{path / WEIGHTS} has changed or is cut off: copy the whole directory again")
        job = directory.job_of(record, table)
        arrays = safetensors.numpy.load(content)
        gan, step = job.gan(), jax.device_put(np.int32(record["step"]))
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{error.filename} is missing: copy the whole directory again") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path / RECORD} is not what export writes ({error!r}): copy the whole directory") from error
    if any(name.startswith("discriminator/") for name in arrays):
        like = job.abstract_state().replace(ema=None)  # type: ignore[attr-defined]
    else:
        like = _abstract_generator(job, gan)
    expected = {name: leaf.shape for name, leaf in starting.weights_of(like).items()}
    if expected != {name: leaf.shape for name, leaf in arrays.items()}:
        raise InputError(
            f"{path} holds the weights of other networks than {job.config.name} makes here: use the version that wrote "
            f"it, gan-jax {record.get('written_by')}, or its load.py, which needs none"
        )
    state = starting.with_weights(like, arrays)
    players = (Player(of.params, of.collections, None) for of in (state.generator, state.discriminator))
    return job, gan, GANState(step, *players), record


def _abstract_generator(job: Job, gan: GAN) -> GANState:
    """The shapes and dtypes of a state without a discriminator, which takes longer to trace than all else."""
    rng, (z, y) = jax.eval_shape(lambda: jax.random.key(0)), programs.inputs_of(job, gan)
    variables = dict(jax.eval_shape(lambda rng, z, y: gan.generator.init(rng, z, y, False), rng, z, y))
    generator = Player(variables.pop("params", {}), variables, None)
    return GANState(None, generator, Player({}, {}, None))


def _without_path(job: Job) -> Any:
    """What is known of the data, but for where it lies on this machine."""
    return None if job.data is None else dataclasses.replace(job.data, path=None)


def _described(leaf: Any) -> dict[str, Any]:
    return {"dtype": leaf.dtype.name, "shape": list(leaf.shape[1:])}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
