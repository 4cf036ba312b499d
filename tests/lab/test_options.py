import enum
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_jax import GAN
from gan_jax.lab import EXPERIMENTS, cli, experiment, options
from gan_jax.lab.commands import run, study, sweep
from gan_jax.lab.options import OBJECTIVE_OPTIONS, RUN_OPTIONS, WARMUP_OPTIONS, Option
from gan_jax.lab.sweep import plan
from gan_jax.lab.values import Scheduled
from gan_jax.typing import Bounds, Count, Decay, Depth, Dtype, Number, Positive, Rate, Share, Size, Weight, Width
from tests.lab.recipes_of_others import textual


class _Colour(enum.Enum):
    RED = 1


def _recipe(
    shape: tuple[int, ...],
    num_classes: int = 0,
    positional: float = 1.0,
    *,
    lr: Rate = 1e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.5,
    gamma: Weight = 1.0,
    radius: Positive = 1.0,
    anything: Number = 0.0,
    maybe: Number | None = None,
    narrow: Annotated[Number, Bounds(-1, 1, above=True)] = 0.0,
    rate: Share = 0.4,
    temperature: float = 1.0,
    perhaps: float | None = None,
    width: Width = 8,
    depth: Depth = 1,
    n_critic: Count = 5,
    latent: Size = 4,
    layers: int = 3,
    at_least: Annotated[int, Bounds(2)] = 2,
    few: int | None = None,
    saturating: bool = False,
    dtype: Dtype = "float32",
    norm: Literal["batch", "group"] | None = None,
    title: str = "",
    axis_name: str | None = None,
    colour: _Colour = _Colour.RED,
    activation: Callable[[Any], Any] = abs,
    sizes: tuple[int, ...] = (1, 2),
    pair: tuple[int, int] = (1, 2),
    shares: tuple[float, ...] = (0.5,),
    bare=3,
    whatever: Any = None,
) -> GAN:
    """Some networks.

    Args:
      gamma: weight of my penalty
        over two lines.
      temperature, perhaps: two of a kind: hot and cold.

    Returns:
      A GAN.
    """
    raise NotImplementedError


_OPTIONS = options.of_recipe(_recipe)


def test_options_are_the_keywords_of_known_types_in_their_order() -> None:
    assert list(_OPTIONS) == [
        "lr", "d_lr", "b1", "gamma", "radius", "anything", "maybe", "narrow", "rate", "temperature", "perhaps", "width",
        "depth", "n_critic", "latent", "layers", "at_least", "few", "saturating", "dtype", "norm", "title", "sizes",
    ]  # fmt: skip


def test_numbers_scale_and_nothing_else_does() -> None:
    scale = {name for name, option in _OPTIONS.items() if option.scales}
    assert scale == {"lr", "d_lr", "b1", "gamma", "radius", "anything", "maybe", "narrow"}
    assert {name for name, option in _OPTIONS.items() if option.flag} == {"saturating"}


@pytest.mark.parametrize(
    ("name", "accepted", "refused"),
    [
        ("lr", {"1e-4": 1e-4, "9.99": 9.99}, ["0", "10", "-1", "nan", "inf", "none", "fast", ""]),
        ("d_lr", {"1e-4": 1e-4, "none": None}, ["0", "10"]),
        ("b1", {"0": 0.0, "0.999": 0.999}, ["1", "-0.1", "none"]),
        ("gamma", {"0": 0.0, "1e30": 1e30}, ["-1", "inf"]),
        ("radius", {"1e-30": 1e-30}, ["0", "-1", "inf"]),
        ("anything", {"-1e30": -1e30, "0": 0.0}, ["inf", "-inf", "nan"]),
        ("maybe", {"none": None, "-3": -3.0}, ["inf"]),
        ("narrow", {"0.5": 0.5, "-0.99": -0.99}, ["-1", "1"]),
        ("rate", {"0": 0.0, "0.5": 0.5}, ["1", "linear:0:0.5", "-1"]),
        ("temperature", {"-2.5": -2.5}, ["inf", "none", "linear:0:1"]),
        ("perhaps", {"-2.5": -2.5, "none": None}, ["inf"]),
        ("width", {"4": 4, "65536": 65536}, ["3", "65537", "4.0", "none"]),
        ("depth", {"100": 100}, ["0", "101"]),
        ("n_critic", {"1": 1, "10000": 10_000}, ["0", "10001"]),
        ("layers", {"-7": -7, str(2**31 - 1): 2**31 - 1}, [str(2**31), "1.5", "x"]),
        ("at_least", {"2": 2, str(2**31 - 1): 2**31 - 1}, ["1", str(2**31)]),
        ("few", {"none": None, "3": 3}, ["1.5"]),
        ("saturating", {"yes": True, "no": False}, ["True", "1", ""]),
        ("dtype", {"bfloat16": "bfloat16"}, ["float8", "none"]),
        ("norm", {"batch": "batch", "none": None}, ["layer"]),
        ("title", {"": "", "any thing": "any thing"}, []),
    ],
)
def test_annotations_say_what_is_read(name: str, accepted: dict[str, Any], refused: list[str]) -> None:
    option = _OPTIONS[name]
    for text, value in accepted.items():
        found = option.parse(text)
        assert (found, type(found)) == (value, type(value))
        assert option.parse(options.spelled(found)) == found
    for text in refused:
        with pytest.raises(ValueError, match="expected"):
            option.parse(text)


def test_what_scales_may_be_a_schedule_whose_ends_may_be_a_bound() -> None:
    assert _OPTIONS["lr"].parse("cosine:1e-3:0") == Scheduled("cosine", (1e-3, 0.0))
    assert _OPTIONS["d_lr"].parse("steps:1e-3,1e-4") == Scheduled("steps", (1e-3, 1e-4))
    assert _OPTIONS["narrow"].parse("linear:-1:0.5") == Scheduled("linear", (-1.0, 0.5))
    for text in ("cosine:1e-3:10", "cosine:1e-3:-1", "steps:1e-3,0"):
        with pytest.raises(ValueError, match="expected a number"):
            _OPTIONS["lr"].parse(text)


def test_annotations_may_be_text() -> None:
    found = options.of_recipe(textual)
    assert list(found) == ["lr", "ema", "strength", "size", "activation"]
    assert [option.scales for option in found.values()] == [True, True, True, False, False]
    assert found["ema"].parse("none") is None
    assert found["size"].parse("64") == 64
    for name, text in (("lr", "10"), ("ema", "1"), ("size", "65"), ("activation", "selu")):
        with pytest.raises(ValueError, match="expected"):
            found[name].parse(text)


def test_help_is_the_recipes_own_text_or_that_of_all_recipes() -> None:
    assert _OPTIONS["gamma"].help == "weight of my penalty over two lines"
    assert _OPTIONS["perhaps"].help == _OPTIONS["temperature"].help == "two of a kind: hot and cold"
    assert _OPTIONS["lr"].help == "learning rate of both players, per step"
    assert _OPTIONS["title"].help == ""


def test_an_option_needs_a_default() -> None:
    def recipe(shape: tuple[int, ...], num_classes: int = 0, *, width: int) -> GAN:
        raise NotImplementedError

    with pytest.raises(ValueError, match="recipe: the option width needs a default"):
        options.of_recipe(recipe)


def test_what_is_no_option_needs_none() -> None:
    def recipe(shape: tuple[int, ...], num_classes: int = 0, *, hook: Any, lr: Rate = 1e-3) -> GAN:
        raise NotImplementedError

    assert list(options.of_recipe(recipe)) == ["lr"]


@pytest.mark.parametrize("name", ["steps", "batch_size", "seed", "loss", "penalty", "lazy", "warmup_steps"])
def test_the_names_of_every_runs_options_are_taken(name: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"def recipe(shape, num_classes=0, *, {name}: int = 1): ...", scope)
    with pytest.raises(ValueError, match=f"the commands have an option {name}: give the recipe's another name"):
        options.of_recipe(scope["recipe"])


@pytest.mark.parametrize(
    ("docstring", "found"),
    [
        (None, {}),
        ("One line.", {}),
        ("One line.\n\nArgs:\n  a: text.", {"a": "text"}),
        (
            "One line.\n\n    Args:\n      a: text.\n      b: more\n        of it.\n    ",
            {"a": "text", "b": "more of it"},
        ),
        ("Args:\n  a, b: both.\n\nReturns:\n  c: no argument.", {"a": "both", "b": "both"}),
        ("Args:\n  a: one.\n\nReturns:\n  A GAN.", {"a": "one"}),
        ("Line.\n\nArgs:\n  a: one: two.\n\n  b: three.", {"a": "one: two", "b": "three"}),
        ("Attributes:\n  a: none.\nArgs:\n  b: one.\nRaises:\n  ValueError: never.", {"b": "one"}),
    ],
)
def test_the_arguments_that_a_docstring_describes(docstring: str | None, found: dict[str, str]) -> None:
    assert options.documented(docstring) == found


def test_the_options_of_every_run_have_help_and_names_of_their_own() -> None:
    groups = (RUN_OPTIONS, WARMUP_OPTIONS, OBJECTIVE_OPTIONS)
    names = [name for group in groups for name in group]
    assert len(set(names)) == len(names)
    assert all(option.help for group in groups for option in group.values())
    assert {name for group in groups for name, option in group.items() if option.scales} == {"penalty"}
    assert {name for group in groups for name, option in group.items() if option.flag} == {"stream", "invert"}


def test_metrics_are_named_once_each_in_their_order() -> None:
    assert RUN_OPTIONS["track"].parse("prdc,frechet,prdc") == "prdc,frechet"
    assert RUN_OPTIONS["track"].parse("none") is None
    for text in ("", "fid", "frechet,", "frechet,none"):
        with pytest.raises(ValueError, match="expected one of frechet"):
            RUN_OPTIONS["track"].parse(text)


def test_the_words_for_none() -> None:
    assert (options.spelled(None), options.spelled(None, options.OWN)) == ("none", "recipe")
    assert OBJECTIVE_OPTIONS["loss"].parse("recipe") is None
    assert OBJECTIVE_OPTIONS["penalty"].parse("recipe") is None
    assert str(OBJECTIVE_OPTIONS["penalty"].parse("none")) == "none"


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_comes_back_from_its_text(value: float) -> None:
    found = _OPTIONS["anything"].parse(options.spelled(value))
    assert np.float64(found).tobytes() == np.float64(value).tobytes()


def test_an_option_is_static_unless_it_says_otherwise() -> None:
    assert Option(str, "text") == Option(str, "text", scales=False, flag=False)


def test_every_option_of_a_command_is_one_that_no_recipe_may_have() -> None:
    lab = cli.Lab(EXPERIMENTS, "{}")
    parsers = [run.parser(lab, "wgan"), sweep.parser(lab, "wgan"), study._parser(lab, "wgan")]
    names = {action.dest for parser in parsers for action in parser._actions}
    general = {*options.RUN_OPTIONS, *options.WARMUP_OPTIONS, *options.OBJECTIVE_OPTIONS}
    assert names - general - set(EXPERIMENTS["wgan"].recipe_options) == options._OF_COMMANDS


def test_a_classifier_is_a_name_or_a_file_that_is_found_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.chdir(tmp_path)
    for text, expected in (
        ("mnist", "mnist"),
        ("k.npz", str(tmp_path / "k.npz")),
        ("../k.npz", str(tmp_path.parent / "k.npz")),
        ("~/k.npz", "/home/someone/k.npz"),
        ("/k.npz", "/k.npz"),
    ):
        assert options.CLASSIFIER(text) == expected
        assert options.CLASSIFIER(expected) == expected
    with pytest.raises(ValueError, match="or a file"):
        options.CLASSIFIER("")


def test_a_run_from_before_there_were_some_options_did_without_them() -> None:
    record = experiment.config(EXPERIMENTS, "sngan", {}).record
    added = {name: record.pop(name) for name in ("classifier", "augment", "widths", "net")}
    assert added == {"classifier": None, "augment": None, "widths": None, "net": "dcgan"}
    assert experiment.recorded(EXPERIMENTS, "sngan", record) == experiment.config(EXPERIMENTS, "sngan", {})
    gan = experiment.config(EXPERIMENTS, "gan", {})
    old = {name: value for name, value in gan.record.items() if name not in added}
    assert experiment.recorded(EXPERIMENTS, "gan", old) == gan


def test_several_values_of_one_option_are_typed_with_commas_and_in_lists_with_plus() -> None:
    widths = EXPERIMENTS["dcgan"].options["widths"]
    assert not widths.scales
    for text in ("512,256,128", "512+256+128"):
        assert widths.parse(text) == (512, 256, 128)
    assert (widths.parse("8"), widths.parse("none")) == ((8,), None)
    assert options.spelled((512, 256)) == "512+256"
    assert plan.axis(widths, "512+256,8,none") == ((512, 256), (8,), None)
    for text in ("", "8,", "0", "8,x", "65537"):
        with pytest.raises(ValueError, match="expected a whole number, at least 1 and at most 65536"):
            widths.parse(text)
    augment = OBJECTIVE_OPTIONS["augment"]
    assert plan.axis(augment, "recipe,none,color+cutout") == (None, (), ("color", "cutout"))
    assert options.spelled(()) == "none"
    typed = {"widths": (8, 4), "augment": ("color", "cutout")}
    config = experiment.config(EXPERIMENTS, "dcgan", typed)
    assert (config.record["widths"], config.record["augment"]) == ("8+4", "color+cutout")
    assert experiment.recorded(EXPERIMENTS, "dcgan", config.record) == config
