"""The commands: each a module here with `main(lab, argv) -> exit code`. A new one is a file and a line."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

COMMANDS: Mapping[str, str] = {
    "prepare": "bring images of your own to one size, in arrays that may be larger than memory",
    "run": "train an experiment",
    "sample": "sample from a run",
    "evaluate": "measure a run's samples",
    "export": "hand a trained generator on",
    "report": "show runs or a sweep as one file for a browser",
    "sweep": "train settings x seeds as one program",
    "study": "search for good settings with Optuna",
    "classifier": "train a classifier for metrics of your own images",
}


def load(name: str) -> Callable[[Any, list[str]], int]:
    """The command's function; its module is imported only now."""
    return importlib.import_module(f"gan_jax.lab.commands.{name}").main
