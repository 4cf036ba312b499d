"""The commands as functions of their arguments."""

import contextlib
import copy
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from experiments import cli


def call(command: Callable[[list[str]], int | None], *arguments: object) -> int:
    """The exit code of `python -m experiments.COMMAND ARGUMENTS`."""
    argv = sys.argv
    sys.argv = [f"{command.__module__.rpartition('.')[2]}.py", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as exit_info:
            cli.main(command)
    finally:
        sys.argv = argv
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
