import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_jax.lab import EXPERIMENTS
from gan_jax.lab import experiment as experiments
from gan_jax.lab.sweep import plan
from gan_jax.lab.sweep.plan import Plan, Span
from gan_jax.lab.values import Penalties, Scheduled

# All options there are, by name.
OPTIONS = {name: option for one in EXPERIMENTS.values() for name, option in one.options.items()}


def members(axes: dict[str, plan.Axis], **kwargs: int | None) -> tuple[plan.Member, ...]:
    return plan.members(axes, **{"draws": None, "seeds": 1, "first_seed": 0} | kwargs)


def cosine(*ends: float, share: float = 1.0) -> Scheduled:
    return Scheduled("cosine", ends, share)


R1, R1_AND_R2 = Penalties((("r1", 1.0),)), Penalties((("r1", 1.0), ("r2", 0.1)))


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        ("lr", "1e-3", (1e-3,)),
        ("lr", "1e-3,2e-3,3e-3", (1e-3, 2e-3, 3e-3)),
        ("lr", "log:1e-5:1e-3", (Span(1e-5, 1e-3, (True,)),)),
        ("lr", "log(1e-5,1e-3)", (Span(1e-5, 1e-3, (True,)),)),
        ("lr", "1e-3,log:1e-5:1e-3,uniform(0.1,0.2)", (1e-3, Span(1e-5, 1e-3, (True,)), Span(0.1, 0.2, (False,)))),
        ("clip", "uniform:0.01:0.1", (Span(0.01, 0.1, (False,)),)),
        ("ema", "none,0.9", (None, 0.9)),
        ("d_lr", "none,log:1e-5:1e-3", (None, Span(1e-5, 1e-3, (True,)))),
        ("width", "8,16", (8, 16)),
        # Schedules: whole, and with ranges in them.
        ("lr", "cosine:1e-3:0,cosine:1e-3:1e-4", (cosine(1e-3, 0.0), cosine(1e-3, 1e-4))),
        ("lr", "1e-3,steps:1e-3,1e-4,cosine:1e-3:0", (1e-3, Scheduled("steps", (1e-3, 1e-4)), cosine(1e-3, 0.0))),
        ("lr", "cosine:log(1e-5,1e-3):0", (Span(cosine(1e-5, 0.0), cosine(1e-3, 0.0), (True, False)),)),
        ("lr", "cosine:1e-3:uniform(0,1e-4):0.5",
         (Span(cosine(1e-3, 0.0, share=0.5), cosine(1e-3, 1e-4, share=0.5), (False, False)),)),
        ("lr", "linear:uniform(1e-5,1e-3):log(1e-6,1e-4)",
         (Span(Scheduled("linear", (1e-5, 1e-6)), Scheduled("linear", (1e-3, 1e-4)), (False, True)),)),
        ("lr", "steps:1e-3,log(1e-5,1e-3),1e-4,2e-3",
         (Span(Scheduled("steps", (1e-3, 1e-5, 1e-4, 2e-3)), Scheduled("steps", (1e-3, 1e-3, 1e-4, 2e-3)),
               (False, True, False, False)),)),
        # Objectives.
        ("loss", "hinge,wasserstein,recipe", ("hinge", "wasserstein", None)),
        ("penalty", "none,recipe,r1:1,r1:1.0+r2:0.1", (Penalties(()), None, R1, R1_AND_R2)),
        ("penalty", "r1:log(1,10)+r2:0.1",
         (Span(R1_AND_R2, Penalties((("r1", 10.0), ("r2", 0.1))), (True, False)),)),
        ("penalty", "r1:cosine:1:uniform(0,0.5)",
         (Span(Penalties((("r1", cosine(1.0, 0.0)),)), Penalties((("r1", cosine(1.0, 0.5)),)), (False, False)),)),
        ("lazy", "1,4", (1, 4)),
    ],
)  # fmt: skip
def test_what_is_typed_for_an_option(option: str, text: str, expected: plan.Axis) -> None:
    assert plan.axis(OPTIONS[option], text) == expected


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        # One value, spelled in two ways, among the others.
        ("lr", "1e-3,2e-3,0.001", "expected different values, got '0.001' twice"),
        ("lr", "cosine:1e-3:0,2e-3,cosine:0.001:0.0", "got 'cosine:0.001:0.0' twice"),
        ("lr", "log:1e-5:1e-3,log(1e-5,1e-3)", "twice"),
        ("width", "8,16,08", "got '08' twice"),
        ("penalty", "r1:1,r1:1.0", "twice"),
        ("loss", "recipe,hinge,recipe", "twice"),
        ("ema", "none,0.9,none", "twice"),
        ("lr", "fast", "expected a number"),
        ("lr", "1e-3,", "expected a number"),
        ("lr", "log", "expected a number"),
        ("lr", "log:1e-3", "expected log:LOW:HIGH"),
        ("lr", "log:1e-5:1e-3:1e-2", "expected log:LOW:HIGH"),
        ("lr", "1e-3,uniform:1e-3", "expected uniform:LOW:HIGH"),
        ("lr", "log:1e-3:1e-5", "LOW < HIGH"),
        ("lr", "log(1e-3,1e-3)", "LOW < HIGH"),
        ("lr", "cosine:log(1e-3,1e-5):0", "LOW < HIGH"),
        ("lr", "cosine:uniform(1e-3,1e-3):log(1e-6,1e-5)", "LOW < HIGH"),
        ("lr", "cosine:uniform(1e-3,1e-2):log(1e-5,1e-6)", "LOW < HIGH"),
        ("lr", "cosine:1e-3:log(0,1e-4)", "0 < LOW"),
        ("b1", "log:0:0.9", "0 < LOW"),
        ("lr", "log:0:0.9", "expected a number in (0, 10)"),
        ("lr", "uniform:1e-3:10", "expected a number in (0, 10)"),
        ("lr", "cosine:1e-3:0:uniform(0.1,0.5)", "list this one's values"),
        ("width", "uniform:8:64", "list this one's values"),
        ("ema", "uniform:none:0.9", "list this one's values"),
        ("ema", "uniform:0.9:none", "list this one's values"),
        ("lr", "log(linear:1e-3:1e-4,1e-2)", "expected a number"),
        ("accumulate", "uniform(1,4)", "list this one's values"),
        ("loss", "log:hinge:wasserstein", "list this one's values"),
        ("loss", "hing", "expected one of"),
        ("penalty", "r3:1", "NAME one of wgan_gp, dragan, r1, r2"),
        ("penalty", "r1:log(10,1)", "LOW < HIGH"),
        ("penalty", "log(r1:1,r1:10)", "expected none or NAME:WEIGHT"),
    ],
)
def test_what_makes_no_sense_is_said(option: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"^expected|^only") as error:
        plan.axis(OPTIONS[option], text)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("lr", "log(1e-05,0.001)"),
        ("lr", "cosine:log(1e-05,0.001):0.0"),
        ("lr", "linear:0.001:uniform(0.0,0.0001):0.5"),
        ("lr", "steps:0.001,log(1e-05,0.001),0.0001"),
        ("penalty", "r1:log(1.0,10.0)+wgan_gp:cosine:1.0:uniform(0.0,0.5)"),
    ],
)
def test_a_span_is_written_as_it_is_typed(option: str, text: str) -> None:
    (span,) = plan.axis(OPTIONS[option], text)
    assert isinstance(span, Span)
    assert str(span) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1 / 3000, "0.000333"),
        (8, "8"),
        (True, "yes"),
        ("hinge", "hinge"),
        (None, "own"),
        (cosine(1 / 3000, 0.0), "cosine:0.000333:0"),
        (cosine(1.0, 0.123456, share=0.78), "cosine:1:0.123:0.78"),
        (Scheduled("steps", (1e-3, 1 / 3000)), "steps:0.001,0.000333"),
        (Penalties(()), "none"),
        (Penalties((("r1", 1.23456), ("r2", Scheduled("linear", (1 / 3, 0.0))))), "r1:1.23+r2:linear:0.333:0"),
    ],
)
def test_values_are_shown_with_three_digits(value: Any, expected: str) -> None:
    assert plan.shown(value, "own") == expected


def test_all_combinations_each_with_its_seeds() -> None:
    found = members({"lr": (1.0, 2.0), "clip": (3.0, 4.0)}, seeds=2, first_seed=5)
    assert [(m.number, m.setting, m.values["lr"], m.values["clip"], m.seed) for m in found] == [
        (0, 0, 1.0, 3.0, 5), (1, 0, 1.0, 3.0, 6), (2, 1, 1.0, 4.0, 5), (3, 1, 1.0, 4.0, 6),
        (4, 2, 2.0, 3.0, 5), (5, 2, 2.0, 3.0, 6), (6, 3, 2.0, 4.0, 5), (7, 3, 2.0, 4.0, 6),
    ]  # fmt: skip


def test_random_draws_fill_their_ranges_and_repeat_with_the_seed() -> None:
    axes: dict[str, plan.Axis] = {"lr": (Span(1e-5, 1e-1, (True,)),), "width": (8, 16)}
    drawn = members(axes, draws=400)
    assert [m.values for m in drawn] == [m.values for m in members(axes, draws=400)]
    logs = [math.log10(m.values["lr"]) for m in drawn]
    assert -5 <= min(logs) < -4.9 and -1.1 < max(logs) <= -1
    # Uniform on (-5, -1): mean -3 with standard deviation 4 / sqrt(12 * 400) = .058.
    assert abs(sum(logs) / 400 + 3) < 5 * 0.058
    assert {m.values["width"] for m in drawn} == {8, 16}


def test_draws_come_from_every_choice_and_fill_the_ranges_inside_schedules() -> None:
    axes = {"lr": plan.axis(OPTIONS["lr"], "1e-3,cosine:log(1e-5,1e-1):uniform(0,0.5):0.3")}
    drawn = [m.values["lr"] for m in members(axes, draws=800)]
    schedules = [value for value in drawn if value != 1e-3]
    # Half of 800, with standard deviation sqrt(800) / 2 = 14.
    assert abs(len(schedules) - 400) < 5 * 14
    assert all(isinstance(s, Scheduled) and (s.kind, s.share) == ("cosine", 0.3) for s in schedules)
    starts, ends = zip(*(s.values for s in schedules), strict=True)
    logs = [math.log10(start) for start in starts]
    assert -5 <= min(logs) < -4.9 and -1.1 < max(logs) <= -1
    assert 0 <= min(ends) < 0.02 and 0.48 < max(ends) <= 0.5
    assert abs(sum(logs) / len(logs) + 3) < 6 * 0.058
    assert abs(sum(ends) / len(ends) - 0.25) < 6 * 0.5 / math.sqrt(12 * 400)


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300), st.booleans(), st.integers(0, 9))
def test_no_draw_leaves_its_range(a: float, b: float, log: bool, seed: int) -> None:
    low, high = sorted((a, b))
    assert low <= Span(low, high, (log,)).draw(random.Random(seed)) <= high


def test_a_range_needs_a_number_of_draws() -> None:
    for value in ("log:1e-5:1e-1", "1e-3,cosine:1e-3:uniform(0,1e-4)"):
        with pytest.raises(ValueError, match=r"--lr has a range: .*--draws N"):
            members({"lr": plan.axis(OPTIONS["lr"], value)})


def test_rungs_double_and_are_whole_chunks() -> None:
    assert plan.rungs(1600, 8, 100, halving=False) == (1600,)
    # Eight settings: three halvings leave one.
    assert plan.rungs(1600, 8, 100, halving=True) == (200, 400, 800, 1600)
    # No rung is shorter than two chunks.
    assert plan.rungs(1600, 100, 200, halving=True) == (400, 800, 1600)


@pytest.mark.parametrize(
    ("steps", "settings", "every", "words"),
    [
        (1600, 1, 100, "there is one: list values, or --draws"),
        (200, 8, 100, "half of 200 steps is less than twice --log-every, 100"),
        (2, 8, 100, "half of 2 steps is less than twice --log-every, 100"),
    ],
)
def test_halving_that_would_halve_nothing_is_refused(steps: int, settings: int, every: int, words: str) -> None:
    with pytest.raises(ValueError, match=r"^--halving .* settings") as error:
        plan.rungs(steps, settings, every, halving=True)
    assert words in str(error.value)
    assert plan.rungs(steps, settings, every, halving=False) == (steps,)


@pytest.mark.parametrize(
    ("axes", "combinations"), [({}, 1), ({"b1": (0.0, 0.5), "width": (8, 16, 32)}, 6), ({"loss": (None, "hinge")}, 2)]
)
def test_no_setting_is_drawn_twice_where_they_can_be_counted(axes: dict[str, plan.Axis], combinations: int) -> None:
    """Members of equal settings have the same seeds: they would be the same."""
    drawn = [tuple(member.values.values()) for member in members(axes, draws=combinations)]
    assert len(set(drawn)) == len(drawn) == combinations
    with pytest.raises(ValueError, match=rf"--draws {combinations + 1} is more than the {combinations} setting"):
        members(axes, draws=combinations + 1)


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        ("lr", "log:1e-4:2e-4", True),
        ("lr", "1e-3,log:1e-5:1e-3", True),
        ("lr", "cosine:log(1e-5,1e-3):0", True),
        ("lr", "uniform:1e-6:1e-3", False),
        ("lr", "1e-5,1e-4", True),
        ("lr", "1e-4,2e-4,5e-4", False),
        ("lr", "1e-5,cosine:1e-3:0", False),
        ("lr", "1e-5,uniform:1e-4:1e-3", False),
        ("width", "8,16,128", True),
        ("b1", "0.0,0.9", False),
        ("ema", "none,0.9", False),
        ("loss", "hinge,recipe", False),
    ],
)
def test_which_numbers_lie_in_the_logarithm(option: str, text: str, expected: bool) -> None:
    assert (option in plan.logarithmic({option: plan.axis(OPTIONS[option], text)})) == expected


def test_the_better_half_survives_and_what_broke_does_not() -> None:
    assert plan.survivors({0: 3.0, 1: 1.0, 2: None, 3: 2.0, 4: 9.0}, lower_is_better=True) == [0, 1, 3]
    assert plan.survivors({0: 3.0, 1: 1.0, 2: None, 3: 2.0}, lower_is_better=False) == [0, 3]
    assert plan.survivors({0: None, 1: 0.0}, lower_is_better=False) == [1]


def sweep(axes: dict[str, plan.Axis]) -> Plan:
    return Plan(experiments.config(EXPERIMENTS, "wgan", {}), members(axes), (100,))


def grouped(axes: dict[str, plan.Axis]) -> list[tuple[int, list[str]]]:
    """The sizes of the groups, with the options whose numbers differ."""
    found = sweep(axes)
    groups = list(plan.groups(found, found.members))
    assert sorted(m.number for group, _ in groups for m in group) == list(range(len(found.members)))
    return sorted((len(group), numbers) for group, numbers in groups)


def test_numbers_share_a_program_and_shapes_do_not() -> None:
    # Two widths, with and without an average.
    assert grouped({"lr": (1e-3, 1e-4), "width": (8, 16), "ema": (None, 0.9, 0.99)}) == [
        (2, ["lr"]), (2, ["lr"]), (4, ["lr", "ema"]), (4, ["lr", "ema"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("option", "text", "sizes"),
    [
        ("lr", "cosine:1e-3:0,cosine:1e-4:1e-5,cosine:2e-3:0", [3]),
        # Another form, another share of the run, another number of stages; a constant.
        ("lr", "cosine:1e-3:0,linear:1e-3:0,cosine:1e-3:0:0.5,1e-3,1e-4", [1, 1, 1, 2]),
        ("lr", "steps:1e-3,1e-4", [1]),
        ("penalty", "r1:1,r1:10,r1:0.1", [3]),
        ("penalty", "r1:1+r2:1,r1:10+r2:0.5,r2:1+r1:1", [1, 2]),
        ("penalty", "none,recipe,r1:1,r2:1,r1:cosine:1:0,r1:cosine:10:0.1", [1, 1, 1, 1, 2]),
        ("loss", "hinge,wasserstein,recipe", [1, 1, 1]),
        ("lazy", "1,4", [1, 1]),
    ],
)
def test_only_the_numbers_inside_schedules_and_penalties_share_a_program(
    option: str, text: str, sizes: list[int]
) -> None:
    found = grouped({option: plan.axis(OPTIONS[option], text)})
    assert [size for size, _ in found] == sizes
    assert all(names == [option] for size, names in found if size > 1)


def test_a_members_configuration_is_that_of_a_run_alone() -> None:
    found = sweep({"lr": (1e-3, 1e-4), "batch_size": (8, 16)})
    config = found.config(found.members[1])
    assert config.options["lr"] == 1e-3
    assert config.options["batch_size"] == 16
    assert config.options["seed"] == 0
    assert config.options["clip"] == EXPERIMENTS["wgan"].defaults["clip"]


def test_rounds_are_equal() -> None:
    chosen = members({"lr": tuple(float(k) for k in range(10))})
    assert [len(part) for part in plan.rounds(chosen, 4)] == [4, 4, 2]
    assert [len(part) for part in plan.rounds(chosen, 9)] == [5, 5]
    assert [len(part) for part in plan.rounds(chosen, 100)] == [10]
