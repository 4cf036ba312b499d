"""Functions of one's own, by what is typed: FILE.py:FUNCTION or module:FUNCTION. Nothing is loaded from a record."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from gan_jax.errors import InputError


def load(text: str, option: str, forms: str) -> Callable[..., Any]:
    """The function that was typed for an option, whose forms a message lists.

    Raises:
      InputError: there is no such module or function, or it is none.
    """
    place, _, name = text.rpartition(":")
    try:
        found = getattr(_module(place), name)
    except (ImportError, AttributeError, OSError, SyntaxError) as error:
        raise InputError(f"{option} {text} can't be loaded ({error}): expected {forms}") from error
    if not callable(found):
        raise InputError(f"{option} {text} is {type(found).__name__}, not a function: expected {forms}")
    return found


def _module(place: str) -> ModuleType:
    """A module, by its name or its file; one beside which the command was typed is found too."""
    if not place.endswith(".py"):
        sys.path.append(str(Path.cwd()))
        try:
            return importlib.import_module(place)
        finally:
            sys.path.pop()
    path = Path(place).expanduser()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
