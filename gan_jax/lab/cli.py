"""What the commands share: how they were called, one sentence for bad input, JAX's start-up settings."""

import argparse
import dataclasses
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import jax

from gan_jax.errors import InputError
from gan_jax.lab.experiment import Experiment, Table, nearest
from gan_jax.lab.options import Option, spelled


@dataclasses.dataclass(frozen=True)
class Lab:
    """What a command is given: the experiments that there are, and how it was called.

    Attributes:
      table: the experiments by name.
      program: how commands are typed, {} for the command's name: "python -m experiments.{}", "gan-jax {}".
    """

    table: Table
    program: str

    def command(self, name: str, *arguments: object) -> str:
        """A command as it is typed."""
        return " ".join([self.program.format(name), shlex.join(map(str, arguments))]).rstrip()

    def experiment(self, command: str, argv: list[str]) -> str:
        """The experiment that the first argument names; where it names none, exits after a line or two that help."""
        if argv and argv[0] in self.table:
            return argv[0]
        if not argv or argv[0].startswith("-"):
            print(f"usage: {self.program.format(command)} NAME [options]\n\n{self.overview()}")
            sys.exit(0 if argv[:1] in (["-h"], ["--help"]) else 2)
        listing = f"{self.command(command, '--help')} lists them"
        print(
            f"{command}: there is no experiment {argv[0]!r}{nearest(argv[0], self.table)}; {listing}", file=sys.stderr
        )
        sys.exit(2)

    def overview(self) -> str:
        """The experiments, two lines each."""
        width = max(map(len, self.table), default=0) + 1
        lines = ["experiments (NAME --help lists the options of one):"]
        for name, experiment in self.table.items():
            lines.append(f"  {name:<{width}} {experiment.summary}")
            if experiment.citation:
                lines.append(f"  {'':<{width}}   {experiment.citation}")
        return "\n".join(lines)


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one sentence, with the nearest option where one was mistyped."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        unknown = "unrecognized arguments: "
        if message.startswith(unknown):
            word = next(iter(message.removeprefix(unknown).split()), "''")
            names = [name for action in self._actions for name in action.option_strings]
            message = f"unknown option {word}{nearest(word, names)}"
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def add_options(parser: argparse.ArgumentParser, options: Mapping[str, Option], experiment: Experiment) -> None:
    """Adds options whose defaults are shown and not filled in, so that the ones typed can be recognised."""
    for name, option in options.items():
        flag = f"--{name.replace('_', '-')}"
        default = spelled(experiment.defaults[name], experiment.word(name))
        text = f"{option.help} (default: {default})".lstrip().replace("%", "%%")
        switch: dict[str, Any] = (
            {"nargs": "?", "const": "yes", "metavar": "yes|no"} if option.flag else {"metavar": "X"}
        )
        parser.add_argument(flag, type=reader(option.parse), default=argparse.SUPPRESS, help=text, **switch)


def reader(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """An argparse type: ValueError's text is the message."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def path(text: str) -> Path:
    """A parser of paths; `~` is the home directory."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"there is no home directory for {text!r}") from error


_LESS = "--batch-size, --width or --n, or use --stream"


def guarded(name: str, command: Callable[[], int | None]) -> NoReturn:
    """Runs a command and exits; an input error is printed as one sentence, with exit code 2."""
    status: int | None
    try:
        status = command()
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
        status = 2
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        print(f"{name}: out of memory: reduce {_LESS}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:  # The reader of our output has left; nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


def start_jax(*, devices: int | None = None) -> None:
    """JAX's settings for the commands: compiled programs are kept in the user's cache directory between runs.

    Args:
      devices: as how many devices the CPU appears, where it is the platform; None for one.
    """
    if devices is not None and "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", devices)
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gan_jax" / "xla"
        jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # Orbax logs the traceback of a full disk, which is reported in one sentence.
    logging.getLogger("absl").setLevel(logging.CRITICAL)


def listed(rows: Iterable[tuple[str, str]]) -> str:
    """Lines of a name and what it is, aligned."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"  {name:<{width}}  {what}" for name, what in rows)
