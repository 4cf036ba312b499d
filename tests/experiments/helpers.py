"""The research's commands as functions of their arguments, and tables of seeds that are not trained."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.reproduce import members, seeds
from gan_jax import compiling
from gan_jax.lab import cli


def call(command: Callable[[list[str]], int], *arguments: object) -> int:
    """The exit code of `python -m experiments.COMMAND ARGUMENTS`."""
    with pytest.raises(SystemExit) as exit_info:
        cli.guarded("command", lambda: command(list(map(str, arguments))))
    return int(exit_info.value.code or 0)


def trace_training(patch: pytest.MonkeyPatch) -> None:
    """Seeds of tables are traced, which finds what can't be trained, and not trained, which costs most of a table.

    Their states grow by a tenth at every stop, and numbers along training are any. What training gives a seed and a
    member has tests of its own: the bits of its run.
    """
    rng = np.random.default_rng(0)

    def traced(train: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        program = compiling.jit_training(train)

        def run(make_gan: Any, numbers: Any, states: Any, *arguments: Any, **rest: Any) -> Any:
            shapes, metrics, reached = program.eval_shape(make_gan, numbers, states, *arguments, **rest)
            assert jax.tree.map(jnp.shape, states) == jax.tree.map(jnp.shape, shapes)
            assert reached.shape == rest["alive"].shape
            grown = jax.tree.map(lambda leaf: 1.1 * leaf if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf, states)
            grown = dataclasses.replace(grown, step=jnp.full_like(states.step, rest["stop"]))
            return grown, jax.tree.map(lambda leaf: jnp.asarray(rng.random(leaf.shape)), metrics), rest["alive"]

        return run

    for module in (members, seeds):
        patch.setattr(module, "jit_training", traced)
