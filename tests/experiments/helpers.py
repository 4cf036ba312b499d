"""The research's commands as functions of their arguments."""

from collections.abc import Callable

import pytest

from gan_jax.lab import cli


def call(command: Callable[[list[str]], int], *arguments: object) -> int:
    """The exit code of `python -m experiments.COMMAND ARGUMENTS`."""
    with pytest.raises(SystemExit) as exit_info:
        cli.guarded("command", lambda: command(list(map(str, arguments))))
    return int(exit_info.value.code or 0)
