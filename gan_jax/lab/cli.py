"""What the commands share: how they were called, one sentence for bad input, JAX's start-up settings."""

import argparse
import dataclasses
import difflib
import functools
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import jax

from gan_jax.errors import InputError
from gan_jax.files import kept
from gan_jax.lab import peers
from gan_jax.lab.experiment import Experiment, Table, nearest
from gan_jax.lab.measuring import extractors
from gan_jax.lab.options import Option, integer, spelled
from gan_jax.lab.streams import unbroken


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
            message = f"unknown option {word}{_nearest_option(word, names)}"
        self.exit(2, f"{self.prog}: {message}; see --help\n")


# What options are called elsewhere, where the letters alone would not tell.
_ELSEWHERE = {
    "lr": ("learning-rate", "rate", "alpha"),
    "steps": ("epochs", "n-epochs", "num-epochs", "max-epochs", "iterations", "iters", "n-iters", "num-iters", "niter"),
    "batch-size": ("bs", "minibatch", "minibatch-size"),
    "out": ("dir", "output-dir", "logdir", "log-dir", "run-dir", "save-dir", "workdir", "result-dir"),
    "overwrite": ("force",),
    "resume": ("checkpoint", "ckpt", "restore", "continue", "load"),
    "track": ("metric", "metrics"),
    "dtype": ("precision", "mixed-precision", "fp16", "bf16"),
    "latent": ("nz", "z-dim", "dim-z", "noise-dim", "z"),
    "width": ("hidden", "hidden-size", "hidden-dim", "channels", "ngf", "ndf", "features"),
    "n-critic": ("critic-steps", "critic-iters", "d-steps", "n-dis", "k"),
    "b1": ("beta1", "beta-1", "momentum"),
    "b2": ("beta2", "beta-2"),
    "n": ("samples", "n-samples", "num-samples", "num", "count"),
    "label": ("class", "y"),
}


def _nearest_option(word: str, names: Iterable[str]) -> str:
    """A question with the option that a mistyped one was meant to be, or nothing if there is none like it.

    It is called so elsewhere, begins so, is the first or last word of it, or is spelled nearly so, dashes left out.
    """
    typed = word.split("=")[0].lstrip("-").replace("_", "-").lower()
    known = {name.lstrip("-"): name for name in names}
    matches = [name for name in known if typed == name]
    matches += [name for name, others in _ELSEWHERE.items() if name in known and typed in others]
    matches += sorted((name for name in known if len(typed) > 2 and name.startswith(typed)), key=len)
    matches += [name for name in known if len(name) > 1 and name in (typed.split("-")[0], typed.split("-")[-1])]
    matches += difflib.get_close_matches(typed, known, n=1, cutoff=0.6)
    return f" (did you mean {known[matches[0]]}?)" if matches else ""


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


def add_distributed(parser: argparse.ArgumentParser) -> None:
    """Adds --distributed: the arguments of `gan_jax.lab.peers.join`, or none."""
    parser.add_argument(
        "--distributed",
        type=reader(peers.arguments),
        metavar="P",
        help="train in several processes; auto under SLURM, Open MPI, Kubernetes or on Cloud TPUs, else "
        "HOST:PORT,COUNT,INDEX in each of them",
    )


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Adds --best and --step, which exclude each other."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--best", action="store_true", help="the best checkpoint that run --track kept, not the last")
    which.add_argument("--step", type=reader(integer(0)), metavar="N", help="the checkpoint of this step")


def add_features(parser: argparse.ArgumentParser) -> None:
    """Adds --features, which is typed at every start: no record names code to run."""
    parser.add_argument(
        "--features",
        type=reader(extractors.form),
        metavar="X",
        help="what metrics take features from, typed again when the command is continued: random or random:SEED (a net "
        "of random weights), inception:FILE (FID; the usual .pth file), mnist, fashion_mnist or FILE.npz (a "
        "classifier), FILE.py:FUNCTION or module:FUNCTION (uint8 images [N, H, W, C] to [N, F]) (default: the "
        "classifier, where there is one; else random)",
    )


def reader(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """An argparse type: ValueError's text is the message."""
    return functools.partial(_read, parse)


def _read(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def path(text: str) -> Path:
    """A parser of paths; `~` is the home directory."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"there is no home directory for {text!r}") from error


_LESS = "--batch-size, --width or --n, or use --stream"


def guarded(name: str, command: Callable[[], int | None]) -> NoReturn:
    """Runs a command and exits; an input error is printed as one sentence, with exit code 2."""
    with unbroken(name):
        sys.exit(_status(name, command))


def _status(name: str, command: Callable[[], int | None]) -> int | None:
    try:
        return command()
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2 if isinstance(error, peers.AgreedError) else peers.leave(2)
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return peers.leave(130)
    except Exception as error:
        if peers.are_gone(error):
            print(f"{name}: {peers.SENTENCE}", file=sys.stderr)
            return peers.leave(1, grace=0)
        if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" in str(error)):
            print(f"{name}: out of memory: reduce {_LESS}", file=sys.stderr)
            return peers.leave(2)
        if peers.several():
            traceback.print_exc()
            peers.leave(1)
        raise


def start_jax(*, devices: int | None = None, distributed: Mapping[str, Any] | None = None) -> None:
    """Starts JAX with the settings of the commands: compiled programs are kept in the user's cache directory.

    Args:
      devices: as how many devices the CPU appears, where it is the platform; None for one.
      distributed: arguments of `jax.distributed.initialize`; None for a program of one process.

    Raises:
      InputError: JAX can't start on the platform that JAX_PLATFORMS names, or finds no other processes.
    """
    if devices is not None and "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", devices)
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        cache = _cache()
        jax.config.update("jax_compilation_cache_dir", None if cache is None else str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # Orbax logs the traceback of a full disk, which is reported in one sentence.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    # Matplotlib warns where it can't keep its list of fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    if distributed is not None:
        peers.join(distributed)
    check_platform()


def check_platform() -> None:
    """Raises InputError where JAX can't start on the platform that JAX_PLATFORMS names."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # The latter, without a word, where a GPU's driver is missing.
        reason = " ".join(str(error).partition("(set JAX_PLATFORMS=")[0].split()).rstrip(".")
        platforms = os.environ.get("JAX_PLATFORMS")
        on = f" on JAX_PLATFORMS={shlex.quote(platforms)}" if platforms else ""
        raise InputError(
            f"JAX can't start{on}{reason and f' ({reason})'}: unset JAX_PLATFORMS, or install what it names, such as "
            "gan-jax[cuda]"
        ) from error


def _cache() -> Path | None:
    """Where compiled programs are kept between runs; None where there is no place of this user's to write to."""
    if (cache := kept("programs")) is not None:
        return cache
    print(
        "compiled programs are not kept, the home directory can't be written: JAX_COMPILATION_CACHE_DIR=DIR keeps them",
        file=sys.stderr,
    )
    return None


def listed(rows: Iterable[tuple[str, str]]) -> str:
    """Lines of a name and what it is, aligned."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"  {name:<{width}}  {what}" for name, what in rows)
