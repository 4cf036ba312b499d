"""An experiment as a value: a recipe with defaults and a citation; and a configuration, one choice of its options."""

import dataclasses
import difflib
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gan_jax import data
from gan_jax.errors import InputError
from gan_jax.gan import GAN
from gan_jax.lab import options
from gan_jax.lab.options import OBJECTIVE_OPTIONS, OWN, RUN_OPTIONS, WARMUP_OPTIONS, Option
from gan_jax.recipes.mlp import OF_IMAGES
from gan_jax.typing import Shape

_DEFAULTS = {
    "batch_size": 64,
    "seed": 0,
    "data": "mnist",
    "track": None,
    "classifier": None,
    "track_every": 500,
    "stream": False,
    "invert": False,
    "warmup_steps": 0,
    "warmup_critic": 100,
    "loss": None,
    "penalty": None,
    "lazy": 1,
    "augment": None,
    "accumulate": 1,
}

ADDED: Mapping[str, Any] = {
    "classifier": None,
    "augment": None,
    "widths": None,
    "net": "dcgan",
    "depth": 1,
    "batch_norm": False,
    "d_width": None,
    "d_depth": None,
    "d_activation": "relu",
    "dropout": 0.0,
    "code_scale": 1.0,
}
"""Options that there have not always been, and the values that are what runs from before did."""


def without_added(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings but those of `ADDED` with these values: equal to what was written before there were such options."""
    return {name: value for name, value in settings.items() if name not in ADDED or value != ADDED[name]}


class Experiment:
    """A recipe that can be run: what it is, and the defaults of its options.

        Experiment(mine, steps=3000, batch_size=64, lr=1e-4)

    Its options are those of every run (`gan_jax.lab.options`) and the recipe's own, read off its signature. Defaults
    that are not given are the signature's, or those of every run; of log_every, sample_every and save_every a
    hundredth and a tenth of the steps.

    Attributes:
      recipe: `(shape, num_classes, **options) -> GAN`.
      options: its options by name.
      defaults: their values.
      defaults_at: those of other values on data of a shape, by shape: more steps for colour images, say.
      paper: the options that `--preset paper` changes: the paper's own settings and length.
      paper_at: those that it changes too on data of a shape, by shape: settings for CIFAR-10 beside those for MNIST.
      lacks: what `--preset paper` leaves out of the paper's settings; empty if nothing.
      citation: of the paper.
      summary: one line; by default the first of the recipe's docstring.
    """

    def __init__(
        self,
        recipe: Callable[..., GAN],
        *,
        steps: int,
        citation: str = "",
        summary: str = "",
        defaults_at: Mapping[Shape, Mapping[str, Any]] | None = None,
        paper: Mapping[str, Any] | None = None,
        paper_at: Mapping[Shape, Mapping[str, Any]] | None = None,
        lacks: str = "",
        **defaults: Any,
    ) -> None:
        """Values may be text, as they are typed: lr="cosine:2e-4:0".

        Raises:
          ValueError: a default is of no option, or is none of its values.
        """
        own = options.of_recipe(recipe)
        warmup = WARMUP_OPTIONS if "n_critic" in own else {}
        self.recipe = recipe
        self.options: Mapping[str, Option] = {**RUN_OPTIONS, **warmup, **own, **OBJECTIVE_OPTIONS}
        self.recipe_options = tuple(own)
        every = {"log_every": max(1, steps // 100), "sample_every": max(1, steps // 10)}
        every["save_every"] = every["sample_every"]
        signature = {name: options.keyword_defaults(recipe)[name] for name in own}
        general = {name: value for name, value in _DEFAULTS.items() if name in self.options}
        self.defaults = self._read({**general, **every, **signature, "steps": steps, **defaults})
        self.defaults_at = self._read_by_shape(defaults_at)
        self.paper = self._read(paper or {})
        self.paper_at = self._read_by_shape(paper_at)
        self.lacks = lacks
        self.citation = citation
        lines = (options.function_of(recipe).__doc__ or "").strip().splitlines()
        self.summary = summary or next(iter(lines), "").rstrip(".")

    def word(self, name: str) -> str:
        """The word for None of an option."""
        return OWN if name in OBJECTIVE_OPTIONS else "none"

    def read(self, name: str, value: Any) -> Any:
        """A value held to the rules of what is typed: of text what it says, of a value itself.

        Raises:
          ValueError: it is none of the option's values.
        """
        try:
            return self.options[name].parse(options.spelled(value, self.word(name)))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    def _read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        for name in values:
            if name not in self.options:
                raise ValueError(
                    f"{options.function_of(self.recipe).__name__} has no option {name}{nearest(name, self.options)}"
                )
        return {name: self.read(name, value) for name, value in values.items()}

    def _read_by_shape(self, settings: Mapping[Shape, Mapping[str, Any]] | None) -> dict[Shape, dict[str, Any]]:
        return {shape: self._read(values) for shape, values in (settings or {}).items()}


Table = Mapping[str, Experiment]


@dataclasses.dataclass(frozen=True)
class Config:
    """What a run is to do: an experiment and a value for each of its options.

    Attributes:
      name: the experiment's, in the table of the commands.
      experiment: itself.
      options: values by name, every one of the experiment's options.
    """

    name: str
    experiment: Experiment
    options: Mapping[str, Any]

    def replace(self, **changes: Any) -> "Config":
        """The same configuration with some options changed."""
        return dataclasses.replace(self, options={**self.options, **changes})

    def spelled(self, name: str) -> str:
        """An option's value as it is typed."""
        return options.spelled(self.options[name], self.experiment.word(name))

    @property
    def typed(self) -> list[str]:
        """The options as words of a command: those that are not the experiment's defaults."""
        changed = [name for name, value in self.experiment.defaults.items() if self.options[name] != value]
        return [word for name in changed for word in (f"--{name.replace('_', '-')}", self.spelled(name))]

    @functools.cached_property
    def record(self) -> dict[str, Any]:
        """The options as JSON holds them: numbers, flags and null as they are, other values as text."""
        plain = (bool, int, float, str, type(None))
        return {name: value if type(value) in plain else self.spelled(name) for name, value in self.options.items()}


def config(
    table: Table, name: str, typed: Mapping[str, Any], *, paper: bool = False, shape: Shape | None = None
) -> Config:
    """The configuration of an experiment for some options typed; the rest are its defaults, or the paper's.

    Either may depend on the shape of the data. `shape` is that, or None to look where it matters: defaults are for the
    data that is the default itself.

    Raises:
      InputError: an option is of networks for images, and the data is points; or the shape matters, and the data can't
        be read.
    """
    experiment = table[name]
    found = typed.get("data", experiment.defaults["data"])
    check_used(experiment, typed, found, shape)
    values, by_shape = dict(experiment.defaults), experiment.defaults_at
    if paper:
        values, by_shape = values | experiment.paper, experiment.paper_at
    if by_shape and (paper or found != experiment.defaults["data"]):
        values |= by_shape.get(_shape_of(found) if shape is None else shape, {})
    values |= typed
    return Config(name, experiment, {option: values[option] for option in experiment.options})


def check_used(experiment: Experiment, typed: Mapping[str, Any], spec: str, shape: Shape | None = None) -> None:
    """Refuses what would have no effect, unless it is the experiment's own value, or the paper's.

    Raises:
      InputError: an option is of networks for images, and the data is points; or the data can't be read.
    """
    of_images = OF_IMAGES.get(options.function_of(experiment.recipe), frozenset())
    own = (experiment.defaults, experiment.paper)
    unused = [name for name in typed if name in of_images and typed[name] not in [of.get(name) for of in own]]
    if unused and len(_shape_of(spec) if shape is None else shape) == 1:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        raise InputError(
            f"{flags} would change nothing: {spec} is points, whose networks have --width alone; leave it out"
        )


@functools.cache
def _shape_of(spec: str) -> Shape:
    return data.load(spec).shape


def recorded(table: Table, name: Any, record: Any) -> Config:
    """The configuration that `Config.record` wrote, each value read again, so that an edited one is held to the rules.

    Raises:
      InputError: the table has no such experiment.
      ValueError: an option is missing or unknown, or has none of its values.
    """
    experiment = known(table, name)
    record = {**{option: value for option, value in ADDED.items() if option in experiment.options}, **record}
    if record.keys() != experiment.options.keys():
        raise ValueError(f"options {sorted(record.keys() ^ experiment.options.keys())} missing or unknown")
    return Config(name, experiment, {option: experiment.read(option, record[option]) for option in experiment.options})


def known(table: Table, name: Any) -> Experiment:
    """The experiment of this name.

    Raises:
      InputError: the table has none.
    """
    if name not in table:
        raise InputError(
            f"there is no experiment {name!r} here{nearest(str(name), table)}: use the file that defines it, "
            "python FILE.py COMMAND, or pass its table"
        )
    return table[name]


def nearest(word: str, names: Iterable[str]) -> str:
    """A question with the name most like `word`, or nothing if none is like it."""
    matches = difflib.get_close_matches(word.split("=")[0], list(names), n=1, cutoff=0.5)
    return f" (did you mean {matches[0]}?)" if matches else ""
