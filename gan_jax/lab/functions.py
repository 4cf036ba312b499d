"""Functions of one's own, by what is typed: FILE.py:FUNCTION or module:FUNCTION. Nothing is loaded from a record."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from gan_jax.errors import InputError


def load(text: str, option: str, forms: str) -> Callable[..., Any]:
    """The function that was typed for an option, whose forms a message lists.

    Raises:
      InputError: there is no such module or function, it is none, or its module raises.
    """
    place, _, name = text.rpartition(":")
    try:
        module = _module(place)
    except (ImportError, OSError, SyntaxError) as error:
        raise InputError(f"{option} {text} can't be loaded ({error}): expected {forms}") from error
    except Exception as error:
        raise InputError(f"{option} {text} can't be loaded ({said(error, place)}): mend it") from error
    try:
        found = getattr(module, name)
    except AttributeError as error:
        raise InputError(f"{option} {text} can't be loaded ({error}): expected {forms}") from error
    if not callable(found):
        raise InputError(f"{option} {text} is {type(found).__name__}, not a function: expected {forms}")
    return found


def said(error: Exception, place: str) -> str:
    """What a module raised that was typed as this place, FILE.py or the module's name, and in which line of it."""
    stem = Path(place).stem if place.endswith(".py") else place.rpartition(".")[2]
    lines = [line for line in traceback.extract_tb(error.__traceback__) if Path(line.filename).stem == stem]
    where = f", line {lines[-1].lineno} of {Path(lines[-1].filename).name}" if lines else ""
    return " ".join(f"{type(error).__name__}: {error}".split()) + where


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
