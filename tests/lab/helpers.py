"""The commands as functions of their arguments."""

import contextlib
import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gan_jax.lab import EXPERIMENTS, Experiment
from gan_jax.lab.main import main
from gan_jax.lab.values import Scheduled

_SMALL = {"width": 8, "d_width": 8, "depth": 1, "d_depth": 1}


def tiny(name: str, *, points: bool = False) -> list[object]:
    """Options of the smallest networks that are of use, at a constant rate, the same in all tests: what one of them has
    compiled the others load. (A falling rate spans the steps, and other steps are another program.)"""
    taken = {"width"} if points else _SMALL.keys() & EXPERIMENTS[name].recipe_options
    small = [word for option in sorted(taken) for word in (f"--{option.replace('_', '-')}", _SMALL[option])]
    of_d = ["--d-lr", 2e-4] if isinstance(EXPERIMENTS[name].defaults.get("d_lr"), Scheduled) else []
    return [*small, "--batch-size", 8, "--lr", 2e-4, *of_d]


def call(command: str, *arguments: object, table: Mapping[str, Experiment] = EXPERIMENTS) -> int:
    """The exit code of `python -m experiments.COMMAND ARGUMENTS`, with these experiments."""
    with pytest.raises(SystemExit) as exit_info:
        main(table, [command, *map(str, arguments)], program="python -m experiments.{}")
    return int(exit_info.value.code or 0)


def changed(record: dict[str, Any], changes: Sequence[tuple[tuple[Any, ...], Any]]) -> dict[str, Any]:
    """The record with other values at some paths, where it has them; of the value "gone" nothing is left."""
    record = copy.deepcopy(record)
    for (*outer, last), value in changes:
        with contextlib.suppress(KeyError, TypeError, IndexError):
            place: Any = record
            for key in outer:
                place = place[key]
            if value == "gone":
                del place[last]
            else:
                place[last] = copy.deepcopy(value)
    return record
