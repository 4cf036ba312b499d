"""The commands as functions of their arguments."""

import contextlib
import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gan_jax.lab import EXPERIMENTS, Experiment
from gan_jax.lab.main import main


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
