"""Runs that start from weights learned before: `run --from`."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.errors import InputError
from gan_jax.gan import GANState, Player

PLAYERS = ("generator", "discriminator")

Weights = Mapping[str, np.ndarray]
"""Arrays by name: the player's, then the place among its variables, `generator/params/Dense_0/kernel`."""

_NAMED = 3


class Start(NamedTuple):
    """Where a run has its first weights from, as its config.json holds it.

    Attributes:
      path: absolute, of a run or an export; or the name of a model that comes with the package.
      step: how far that was trained.
      fingerprint: 16 hexadecimal digits that other weights would change.
      taken: the names of the arrays that fit.
      fresh: the names of those that do not: there is none, or one of another shape. They are drawn at random.
    """

    path: str
    step: int
    fingerprint: str
    taken: list[str]
    fresh: list[str]


def read(record: Any) -> Start | None:
    """A start out of JSON, or None. Raises KeyError, TypeError or ValueError where it is neither."""
    if record is None:
        return None
    start = Start(**record)
    names = [*start.taken, *start.fresh]
    if type(start.step) is not int or not all(
        isinstance(text, str) for text in (start.path, start.fingerprint, *names)
    ):
        raise ValueError(f"expected path, step, fingerprint and names of weights, got {record!r}")
    return start


def spelled(typed: Path) -> str:
    """What is recorded of what was typed as --from: an absolute path, or a name."""
    return os.path.abspath(typed) if os.path.exists(typed) else str(typed)


def weights_of(state: GANState) -> dict[str, Any]:
    """All arrays of both players by name, those of the generator averaged where there is an average."""
    generator = state.generator.variables if state.ema is None else state.ema
    players = {"generator": generator, "discriminator": state.discriminator.variables}
    return {f"{player}/{name}": leaf for player in players for name, leaf in _named(players[player]).items()}


def with_weights(state: GANState, weights: Weights) -> GANState:
    """The state with those of its arrays replaced that the weights have, in the same shape; the average starts anew."""

    def replaced(player: Player, prefix: str) -> Player:
        def leaf(path: Any, own: Any) -> Any:
            found = weights.get(f"{prefix}/{_name(path)}")
            if found is None or found.shape != own.shape:
                return own
            return jax.device_put(np.array(found, own.dtype))  # A cast by JAX compiles a program for each shape.

        variables = jax.tree_util.tree_map_with_path(leaf, player.variables)
        return player.replace(params=variables.pop("params"), collections=variables)  # type: ignore[attr-defined]

    generator = replaced(state.generator, "generator")
    return state.replace(  # type: ignore[attr-defined]
        generator=generator,
        discriminator=replaced(state.discriminator, "discriminator"),
        ema=None if state.ema is None else jax.tree.map(jnp.copy, generator.variables),
    )


def of(path: str, step: int, weights: Weights, state: GANState) -> Start:
    """The start of a state, or of its shapes, from weights.

    Raises:
      InputError: none of them fits.
    """
    own = weights_of(state)
    taken = [name for name, leaf in own.items() if name in weights and weights[name].shape == leaf.shape]
    if not taken:
        raise InputError(
            f"none of the weights of {path} fit these networks: start from a run of the same experiment and sizes, or "
            "leave out --from"
        )
    return Start(path, step, fingerprint(weights), taken, [name for name in own if name not in taken])


def fingerprint(weights: Weights) -> str:
    """16 hexadecimal digits that other weights or names would change."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(weights):
        digest.update(repr((name, weights[name].dtype.str, weights[name].shape)).encode())
        digest.update(np.ascontiguousarray(weights[name]).tobytes())
    return digest.hexdigest()


def described(start: Start, weights: Weights) -> str:
    """What was taken and what did not fit, in one line."""
    text = f"starts from {start.path} at step {start.step}: "
    if not start.fresh:
        return f"{text}all {len(start.taken)} arrays fit"
    present = {name.partition("/")[0] for name in weights}
    absent = [player for player in PLAYERS if player not in present]
    fresh = [name for name in start.fresh if name.partition("/")[0] not in absent]
    reasons = [f"the {player} (missing)" for player in absent]
    reasons += [f"{name} ({'has another shape' if name in weights else 'missing'})" for name in fresh[:_NAMED]]
    more = len(fresh) - len(fresh[:_NAMED])
    rest = f" and {more} more" if more else ""
    count = f"{len(start.taken)} of {len(start.taken) + len(start.fresh)} arrays fit{'s' * (len(start.taken) == 1)}"
    return f"{text}{count}, drawn at random are {', '.join(reasons)}{rest}"


def _named(tree: Any) -> dict[str, Any]:
    return {_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
