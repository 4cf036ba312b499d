import math

import pytest

from experiments.configs import EXPERIMENTS, RECIPE_OPTIONS, Config
from experiments.sweep import plan
from experiments.sweep.plan import Choices, Plan, Range


def members(axes: dict[str, plan.Axis], **kwargs: int | None) -> tuple[plan.Member, ...]:
    return plan.members(axes, **{"samples": None, "seeds": 1, "first_seed": 0} | kwargs)


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        ("lr", "1e-3", Choices((1e-3,))),
        ("lr", "1e-3,2e-3,1e-3", Choices((1e-3, 2e-3))),
        ("lr", "log:1e-5:1e-3", Range(1e-5, 1e-3, True)),
        ("clip", "uniform:0.01:0.1", Range(0.01, 0.1, False)),
        ("ema", "none,0.9", Choices((None, 0.9))),
        ("width", "8,16", Choices((8, 16))),
    ],
)
def test_what_is_typed_for_an_option(option: str, text: str, expected: plan.Axis) -> None:
    assert plan.axis(RECIPE_OPTIONS[option], text) == expected


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("lr", "fast", "expected a number"),
        ("lr", "1e-3,", "expected a number"),
        ("lr", "log:1e-3", "expected log:LOW:HIGH"),
        ("lr", "log:1e-3:1e-5", "LOW < HIGH"),
        ("b1", "log:0:0.9", "0 < LOW"),
        ("width", "uniform:8:64", "list this one's values"),
        ("ema", "uniform:none:0.9", "list this one's values"),
    ],
)
def test_what_makes_no_sense_is_said(option: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan.axis(RECIPE_OPTIONS[option], text)


def test_all_combinations_each_with_its_seeds() -> None:
    found = members({"lr": Choices((1.0, 2.0)), "clip": Choices((3.0, 4.0))}, seeds=2, first_seed=5)
    assert [(m.number, m.setting, m.values["lr"], m.values["clip"], m.seed) for m in found] == [
        (0, 0, 1.0, 3.0, 5), (1, 0, 1.0, 3.0, 6), (2, 1, 1.0, 4.0, 5), (3, 1, 1.0, 4.0, 6),
        (4, 2, 2.0, 3.0, 5), (5, 2, 2.0, 3.0, 6), (6, 3, 2.0, 4.0, 5), (7, 3, 2.0, 4.0, 6),
    ]  # fmt: skip


def test_random_draws_fill_their_ranges_and_repeat_with_the_seed() -> None:
    axes: dict[str, plan.Axis] = {"lr": Range(1e-5, 1e-1, True), "width": Choices((8, 16))}
    drawn = members(axes, samples=400)
    assert [m.values for m in drawn] == [m.values for m in members(axes, samples=400)]
    logs = [math.log10(m.values["lr"]) for m in drawn]
    assert -5 <= min(logs) < -4.9 and -1.1 < max(logs) <= -1
    # Uniform on (-5, -1): mean -3 with standard deviation 4 / sqrt(12 * 400) = .058.
    assert abs(sum(logs) / 400 + 3) < 5 * 0.058
    assert {m.values["width"] for m in drawn} == {8, 16}


def test_a_range_needs_a_number_of_samples() -> None:
    with pytest.raises(ValueError, match="--samples N"):
        members({"lr": Range(1e-5, 1e-1, True)})


def test_rungs_double_and_are_whole_chunks() -> None:
    assert plan.rungs(1600, 8, 100, halving=False) == (1600,)
    # Eight settings: three halvings leave one.
    assert plan.rungs(1600, 8, 100, halving=True) == (200, 400, 800, 1600)
    # No rung is shorter than two chunks.
    assert plan.rungs(1600, 100, 200, halving=True) == (400, 800, 1600)
    assert plan.rungs(1600, 1, 100, halving=True) == (1600,)


def test_the_better_half_survives_and_what_broke_does_not() -> None:
    assert plan.survivors({0: 3.0, 1: 1.0, 2: None, 3: 2.0, 4: 9.0}, lower_is_better=True) == [0, 1, 3]
    assert plan.survivors({0: 3.0, 1: 1.0, 2: None, 3: 2.0}, lower_is_better=False) == [0, 3]
    assert plan.survivors({0: None, 1: 0.0}, lower_is_better=False) == [1]


def sweep(axes: dict[str, plan.Axis]) -> Plan:
    experiment = EXPERIMENTS["wgan"]
    run = {name: experiment.defaults[name] for name in experiment.run_options}
    recipe = {name: experiment.defaults[name] for name in experiment.recipe_options}
    return Plan(Config("wgan", run, recipe), members(axes), (100,))


def test_numbers_share_a_program_and_shapes_do_not() -> None:
    axes: dict[str, plan.Axis] = {
        "lr": Choices((1e-3, 1e-4)), "width": Choices((8, 16)), "ema": Choices((None, 0.9, 0.99)),
    }  # fmt: skip
    found = sweep(axes)
    groups = list(plan.groups(found, EXPERIMENTS["wgan"], found.members))
    # Two widths, with and without an average.
    assert sorted((len(group), numbers) for group, numbers in groups) == [
        (2, ["lr"]), (2, ["lr"]), (4, ["lr", "ema"]), (4, ["lr", "ema"]),
    ]  # fmt: skip
    assert sorted(m.number for group, _ in groups for m in group) == list(range(12))


def test_a_members_configuration_is_that_of_a_run_alone() -> None:
    found = sweep({"lr": Choices((1e-3, 1e-4)), "batch_size": Choices((8, 16))})
    config = found.config(found.members[1])
    assert config.recipe["lr"] == 1e-3
    assert config.run["batch_size"] == 16
    assert config.run["seed"] == 0
    assert config.recipe["clip"] == EXPERIMENTS["wgan"].defaults["clip"]


def test_rounds_are_equal() -> None:
    chosen = members({"lr": Choices(tuple(float(k) for k in range(10)))})
    assert [len(part) for part in plan.rounds(chosen, 4)] == [4, 4, 2]
    assert [len(part) for part in plan.rounds(chosen, 9)] == [5, 5]
    assert [len(part) for part in plan.rounds(chosen, 100)] == [10]
