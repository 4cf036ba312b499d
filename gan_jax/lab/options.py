"""Options of experiments: how each is read, what it means, and those that a recipe's signature declares."""

import functools
import inspect
import math
import os
import re
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from gan_jax import losses, penalties, recipes
from gan_jax.data.sources import FORMS
from gan_jax.lab import values
from gan_jax.lab.measuring.measures import MEASURES
from gan_jax.metrics import features
from gan_jax.nets.augment import AUGMENTATIONS
from gan_jax.typing import Bounds, Number, Weight

Parse = Callable[[str], Any]


class Option(NamedTuple):
    """One command-line option.

    Attributes:
      parse: how its text is read; ValueError says what was expected.
      help: what it means.
      scales: whether it only scales numbers, so that members of one population may differ in it and it may be a
        schedule; any other value changes shapes or code, and needs a program of its own.
      flag: whether it is on or off.
    """

    parse: Parse
    help: str
    scales: bool = False
    flag: bool = False


def integer(low: int, high: int = 2**31 - 1) -> Parse:
    """A parser of integers in [low, high]; steps are counted in 32 bits."""
    return functools.partial(_integer, low, high)


def _integer(low: int, high: int, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise ValueError(f"expected a whole number, at least {low} and at most {high}, got {text!r}")
    return value


def real(low: float = -math.inf, high: float = math.inf, *, above: bool = False) -> Parse:
    """A parser of finite numbers in [low, high), or in (low, high) if `above`."""
    bracket = "(" if above or low == -math.inf else "["

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value < high and (value > low or not above)):
            raise ValueError(f"expected a number in {bracket}{low:g}, {high:g}), got {text!r}")
        return value

    return parse


def choice(*names: str) -> Parse:
    """A parser of one of a few names."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"expected one of {', '.join(names)}, got {text!r}")
        return text

    return parse


def several(*names: str) -> Parse:
    """A parser of some of a few names, with commas between them."""
    one = choice(*names)
    return lambda text: tuple(dict.fromkeys(one(name) for name in text.split(",")))


def joined(parse: Parse) -> Parse:
    """A parser of A,B,C, or A+B+C where commas divide choices: a tuple of what `parse` takes."""
    return lambda text: tuple(parse(item) for item in re.split("[,+]", text))


def name_or_file(*names: str) -> Parse:
    """A parser of one of a few names, or else of a file: its absolute path, so that it is found from everywhere."""

    def parse(text: str) -> str:
        if text in names:
            return text
        if not text:
            raise ValueError(f"expected one of {', '.join(names)}, or a file, got {text!r}")
        try:
            return os.path.abspath(Path(text).expanduser())
        except RuntimeError as error:
            raise ValueError(f"there is no home directory for {text!r}") from error

    return parse


CLASSIFIER = name_or_file(*features.NAMES)
"""A parser of the classifier that metrics take labels, and by default features, from."""


def boolean(text: str) -> bool:
    """A parser of yes and no."""
    if text not in ("yes", "no"):
        raise ValueError(f"expected yes or no, got {text!r}")
    return text == "yes"


def optional(parse: Parse, word: str = "none") -> Parse:
    """A parser of what `parse` takes, or of a word for None."""
    return lambda text: None if text == word else parse(text)


def spelled(value: Any, word: str = "none") -> str:
    """The text that an option reads as this value; `word` for None."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if type(value) is tuple:
        return "+".join(map(str, value)) or "none"
    return word if value is None else str(value)


OWN = "recipe"
"""The word for None of `OBJECTIVE_OPTIONS`: the recipe's own."""

# Options of every run.
RUN_OPTIONS: Mapping[str, Option] = {
    "steps": Option(integer(1), "generator updates"),
    "batch_size": Option(integer(1, 2**16), "examples per minibatch"),
    "seed": Option(integer(0, 2**32 - 1), "seed of parameters, noise, minibatches and sample grids"),
    "data": Option(str, ", ".join(FORMS)),
    "track": Option(
        optional(lambda text: ",".join(several(*MEASURES)(text))),
        "metrics of 2,500 samples, against the test set, to measure while training, A,B; the best checkpoint by the "
        f"first is kept; metrics: {', '.join(MEASURES)}",
    ),
    "classifier": Option(
        optional(CLASSIFIER),
        f"what metrics take labels from, and features where --features is not typed: {', '.join(features.NAMES)}, or a "
        "file of the command classifier; none for the one that was trained on this very data, if the package has it",
    ),
    "track_every": Option(integer(1), "steps between measurements of --track"),
    "log_every": Option(integer(1), "steps per compiled dispatch, and per line of metrics"),
    "sample_every": Option(integer(1), "steps between sample grids"),
    "save_every": Option(integer(1), "steps between checkpoints"),
    "stream": Option(boolean, "keep the data on the host and send minibatches to the device", flag=True),
    "invert": Option(boolean, "dark digits on white in sample grids", flag=True),
}

# Options of every run whose recipe has n_critic.
WARMUP_OPTIONS: Mapping[str, Option] = {
    "warmup_steps": Option(integer(0), "first generator updates with warmup_critic critic updates each, 0 for none"),
    "warmup_critic": Option(integer(1, 10_000), "critic updates per generator update during the warm-up"),
}


def number(bounds: Bounds, help: str, *, none: bool = False) -> Option:
    """An option that scales: a number within bounds, or a schedule of such numbers."""
    # A schedule may end at a bound that a constant may not be: a learning rate falls to 0.
    low, high = float(bounds.low), float(bounds.high)
    parse = values.scaling(real(low, high, above=bounds.above), real(low, high))
    return Option(optional(parse) if none else parse, help, scales=True)


_WEIGHT = number(get_args(Weight)[1], "")


def _policy(text: str) -> tuple[str, ...]:
    """Augmentations, each of which is applied once."""
    if text == "none":
        return ()
    names: tuple[str, ...] = joined(choice(*AUGMENTATIONS))(text)
    if len(set(names)) < len(names):
        raise ValueError(f"expected different augmentations, got {text!r}")
    return names


# What any GAN may be given in place of its recipe's own.
OBJECTIVE_OPTIONS: Mapping[str, Option] = {
    "loss": Option(optional(choice(*losses.LOSSES), OWN), f"adversarial loss: {', '.join(losses.LOSSES)}"),
    "penalty": Option(
        optional(values.penalty_terms(_WEIGHT.parse), OWN),
        f"gradient penalties NAME:WEIGHT+NAME:WEIGHT, or none; names: {', '.join(penalties.PENALTIES)}",
        scales=True,
    ),
    "lazy": Option(integer(1, 10_000), "evaluate the penalty every K-th step only, weighted by K"),
    "augment": Option(
        optional(_policy, OWN),
        f"what the discriminator's images go through, A,B,C (A+B+C in lists), or none: {', '.join(AUGMENTATIONS)}",
    ),
    "accumulate": Option(integer(1, 2**16), "micro-batches per update, for minibatches larger than memory"),
}


# What run, sweep and study have beside the options of experiments.
_OF_COMMANDS = frozenset({
    "help", "preset", "out", "overwrite", "resume", "metric", "score_samples", "seeds", "draws", "halving", "dry_run",
    "memory", "mapping", "distributed", "devices", "profile", "storage", "trials", "population", "features",
    "report", "from", "tracker", "style",
})  # fmt: skip


def of_recipe(recipe: Callable[..., Any]) -> dict[str, Option]:
    """The options that a recipe's keyword-only arguments declare, in their order.

    Annotations say how each is read: `Number` and its bounded kinds (`gan_jax.typing`) scale; int, float, bool, str,
    Literal, tuple[int, ...] and their unions with None are static; an argument of any other type, and `axis_name`, is
    no option. Help is the argument's text in the docstring's "Args", or else in that of `gan_jax.recipes`.

    Raises:
      ValueError: an option has no default, or a name that the commands use.
    """
    function = function_of(recipe)
    title = function.__name__
    hints = get_type_hints(function, include_extras=True)
    texts = documented(recipes.__doc__) | documented(function.__doc__)
    found: dict[str, Option] = {}
    for name, parameter in inspect.signature(recipe).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY or name == "axis_name":
            continue
        option = _declared(hints.get(name), texts.get(name, ""))
        if option is None:
            continue
        if parameter.default is parameter.empty:
            raise ValueError(f"{title}: the option {name} needs a default")
        if name in {*RUN_OPTIONS, *WARMUP_OPTIONS, *OBJECTIVE_OPTIONS, *_OF_COMMANDS}:
            raise ValueError(f"{title}: the commands have an option {name}: give the recipe's another name")
        found[name] = option
    return found


def function_of(recipe: Callable[..., Any]) -> Any:
    """The function of a recipe that may be a partial application of it."""
    return recipe.func if isinstance(recipe, functools.partial) else recipe


def keyword_defaults(recipe: Callable[..., Any]) -> dict[str, Any]:
    """The defaults of a recipe's keyword-only arguments."""
    parameters = inspect.signature(recipe).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


def documented(docstring: str | None) -> dict[str, str]:
    """The arguments that a docstring describes in its section "Args", each as one line."""
    section = re.search(r"^Args:\n(.*?)(?:\n\S|\Z)", inspect.cleandoc(docstring or ""), re.DOTALL | re.MULTILINE)
    entries = re.findall(r"^  (\w[\w, ]*): (.*?)(?=^  \w|\Z)", section[1] if section else "", re.DOTALL | re.MULTILINE)
    return {
        name: " ".join(text.split()).rstrip(".")
        for names, text in entries
        for name in names.replace(" ", "").split(",")
    }


def _declared(annotation: Any, help: str) -> Option | None:
    """The option that an annotation declares, None if there is none."""
    base, bounds, none = _unwrapped(annotation)
    if _members(base) == _members(Number):
        return number(bounds or Bounds(), help, none=none)
    if base is bool:
        return Option(boolean, help, flag=True)
    if base is int:
        low, high, _ = bounds or Bounds()
        parse = integer(int(max(low, -(2**31))), int(min(high, 2**31 - 1)))
    elif base is float:
        low, high, above = bounds or Bounds()
        parse = real(float(low), float(high), above=above)
    elif base is str:
        parse = str
    elif get_origin(base) is Literal:
        parse = choice(*get_args(base))
    elif get_origin(base) is tuple and get_args(base) == (int, ...):
        low, high, _ = bounds or Bounds()
        parse = joined(integer(int(max(low, -(2**31))), int(min(high, 2**31 - 1))))
    else:
        return None
    return Option(optional(parse) if none else parse, help)


def _unwrapped(annotation: Any) -> tuple[Any, Bounds | None, bool]:
    """An annotation's type, the bounds in it, and whether it may be None."""
    none = False
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [member for member in get_args(annotation) if member is not type(None)]
        none = len(rest) < len(get_args(annotation))
        annotation = Union[tuple(rest)]  # noqa: UP007
    bounds = None
    if get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)
        bounds = next((extra for extra in extras if isinstance(extra, Bounds)), None)
    return annotation, bounds, none


def _members(annotation: Any) -> frozenset[Any]:
    return (
        frozenset(map(repr, get_args(annotation)))
        if get_origin(annotation) in (Union, types.UnionType)
        else frozenset()
    )
