"""Entry points of the commands of `gan_jax.lab` (`python -m experiments.run wgan`), and the project's own studies."""

import sys
from typing import NoReturn


def door(command: str | None = None) -> NoReturn:
    """Runs a command with the built-in experiments; None lists all commands."""
    from gan_jax.lab import EXPERIMENTS, main

    arguments = sys.argv[1:] if command is None else [command, *sys.argv[1:]]
    main(EXPERIMENTS, arguments, program="python -m experiments.{}")
