"""The one entry of all commands: `main(table)`, for the console script, `python -m gan_jax` and files of one's own."""

import shlex
import sys
from collections.abc import Mapping
from typing import NoReturn

from gan_jax.lab import cli
from gan_jax.lab.commands import COMMANDS, load
from gan_jax.lab.experiment import Experiment, nearest
from gan_jax.lab.table import EXPERIMENTS


def main(
    table: Mapping[str, Experiment] = EXPERIMENTS, argv: list[str] | None = None, *, program: str | None = None
) -> NoReturn:
    """Runs the command that the arguments name, with these experiments, and exits.

    A file of one's own ends with it, and has every command for every experiment of its table:

        if __name__ == "__main__":
            main(EXPERIMENTS | {"mine": Experiment(mine, steps=3000)})

    Args:
      table: the experiments by name.
      argv: the command's name and its arguments; None for those of the process.
      program: how a command is typed, {} for its name; None for `python FILE.py {}`.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if program is None:
        program = f"python {shlex.quote(sys.argv[0]).replace('{', '{{').replace('}', '}}')} {{}}"
    lab = cli.Lab(dict(table), program)
    name = arguments[0] if arguments and arguments[0] in COMMANDS else "gan-jax"
    cli.guarded(name, lambda: _run(lab, arguments))


def _run(lab: cli.Lab, arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: {lab.program.format('COMMAND')} ...\n\ncommands (COMMAND --help says more):")
        print(cli.listed(COMMANDS.items()))
        print(f"\n{lab.overview()}")
        return 0 if arguments else 2
    command, *rest = arguments
    if command not in COMMANDS:
        hint = nearest(command, COMMANDS)
        print(f"there is no command {command!r}{hint}: choose one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return load(command)(lab, rest)


def script() -> NoReturn:
    """The console script `gan-jax`."""
    main(program="gan-jax {}")
