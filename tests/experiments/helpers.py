"""The commands as functions of their arguments."""

import sys
from collections.abc import Callable

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
