"""What the commands share: one sentence and exit code 2 for bad input, JAX's start-up settings."""

import argparse
import difflib
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from experiments.configs import Option


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one sentence, with the nearest option where one was mistyped."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        unknown = "unrecognized arguments: "
        if message.startswith(unknown):
            word = next(iter(message.removeprefix(unknown).split()), "''")
            names = [name for action in self._actions for name in action.option_strings]
            message = f"there is no option {word}{nearest(word, names)}"
        self.exit(2, f"{self.prog}: {message}; --help lists what there is\n")


def nearest(word: str, names: Iterable[str]) -> str:
    """A question with the name most like `word`, or nothing if none is like it."""
    matches = difflib.get_close_matches(word.split("=")[0], list(names), n=1, cutoff=0.5)
    return f" (did you mean {matches[0]}?)" if matches else ""


def add_options(parser: argparse.ArgumentParser, options: Mapping[str, Option], defaults: Mapping[str, Any]) -> None:
    """Adds options whose defaults are shown and not filled in, so that what was typed can be told apart."""
    for name, option in options.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=reader(option.parse),
            metavar="X",
            default=argparse.SUPPRESS,
            help=f"{option.help} (default: {_shown(defaults[name])})".replace("%", "%%"),
        )


def reader(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


_LESS = "a smaller --batch-size, --width or --n, or --stream yes"


def main(command: Callable[[list[str]], int | None]) -> NoReturn:
    """Runs a command on sys.argv; what the user can mend is printed as one sentence, with exit code 2."""
    try:
        status = command(sys.argv[1:])
    except ValueError as error:
        from gan_jax.errors import InputError  # Not earlier: it starts JAX, and `--help` need not wait for that.

        if not isinstance(error, InputError):
            raise
        print(f"{_name()}: {error}", file=sys.stderr)
        status = 2
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        print(f"{_name()}: the memory is full; ask for less: {_LESS}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:  # The reader of our output has left; nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


def _name() -> str:
    """The command's: run, sweep, reproduce, ..."""
    file = Path(sys.argv[0])
    return file.parent.name if file.stem == "__main__" else file.stem


def start_jax(*, devices: int | None = None) -> None:
    """JAX's settings for the commands: compiled programs are kept in the user's cache directory between runs.

    Args:
      devices: how many devices the CPU poses as, where it is the platform; None to leave it one.
    """
    import jax

    if devices is not None and "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", devices)

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gan_jax" / "xla"
        jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # Orbax logs the traceback of a full disk, which is reported in one sentence.
    logging.getLogger("absl").setLevel(logging.CRITICAL)


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
