"""What a sweep trains: settings from what was typed, a member per setting and seed, populations that share a program.

Nothing here imports JAX.
"""

import dataclasses
import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from experiments.configs import Config, Experiment, Option


class Choices(NamedTuple):
    """An option's values, as typed A,B,C."""

    values: tuple[Any, ...]


class Range(NamedTuple):
    """Numbers to draw from, as typed uniform:LOW:HIGH or log:LOW:HIGH (uniform in the logarithm)."""

    low: float
    high: float
    log: bool

    def draw(self, rng: random.Random) -> float:
        if self.log:
            return math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return rng.uniform(self.low, self.high)


Axis = Choices | Range


_MOST = 2**16


class Member(NamedTuple):
    """One GAN of a sweep.

    Attributes:
      number: its place in the sweep.
      setting: the number of its setting; members of one setting differ in their seeds.
      values: the swept options' values.
      seed: its seed.
    """

    number: int
    setting: int
    values: Mapping[str, Any]
    seed: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sweep.

    Attributes:
      base: the options that all members share, and the length.
      members: in order of setting, then seed.
      rungs: the steps after which scores are taken, ascending; after each but the last only the better half of the
        settings goes on.
    """

    base: Config
    members: tuple[Member, ...]
    rungs: tuple[int, ...]

    def config(self, member: Member) -> Config:
        """The configuration that would train this member alone."""
        run = {name: member.values.get(name, value) for name, value in self.base.run.items()}
        recipe = {name: member.values.get(name, value) for name, value in self.base.recipe.items()}
        return Config(self.base.experiment, run | {"seed": member.seed}, recipe)

    @property
    def swept(self) -> tuple[str, ...]:
        """The options that differ between members."""
        return tuple(self.members[0].values)


def axis(option: Option, text: str) -> Axis:
    """Reads A,B,C or uniform:LOW:HIGH or log:LOW:HIGH, each value by the option. ValueError says what was expected."""
    kind, *ends = text.split(":")
    if kind not in ("uniform", "log"):
        return Choices(tuple(dict.fromkeys(option.parse(value) for value in text.split(","))))
    if len(ends) != 2:
        raise ValueError(f"expected {kind}:LOW:HIGH, got {text!r}")
    low, high = (option.parse(end) for end in ends)
    if not option.scales or not isinstance(low, float) or not isinstance(high, float):
        raise ValueError(f"only options that are real numbers have ranges, list this one's values, got {text!r}")
    if not low < high or (kind == "log" and low <= 0):
        raise ValueError(f"expected {kind}:LOW:HIGH with {'0 < ' if kind == 'log' else ''}LOW < HIGH, got {text!r}")
    return Range(low, high, kind == "log")


def members(axes: Mapping[str, Axis], samples: int | None, seeds: int, first_seed: int) -> tuple[Member, ...]:
    """All combinations of choices, or `samples` random draws of every axis; each with `seeds` seeds.

    Raises:
      ValueError: a range without `samples`, or more members than anybody could train.
    """
    combinations = math.prod(len(a.values) for a in axes.values() if isinstance(a, Choices))
    if (count := (samples or combinations) * seeds) > _MOST:
        raise ValueError(f"these are {count} members, and {_MOST} is the most: name fewer values, --samples or --seeds")
    settings: list[dict[str, Any]]
    if samples is not None:
        rng = random.Random(first_seed)
        settings = [
            {name: a.draw(rng) if isinstance(a, Range) else rng.choice(a.values) for name, a in axes.items()}
            for _ in range(samples)
        ]
    else:
        for name, a in axes.items():
            if isinstance(a, Range):
                raise ValueError(f"--{name.replace('_', '-')} is a range: say how many settings to draw, --samples N")
        choices = [a.values for a in axes.values() if isinstance(a, Choices)]
        settings = [dict(zip(axes, values, strict=True)) for values in itertools.product(*choices)]
    pairs = itertools.product(enumerate(settings), range(first_seed, first_seed + seeds))
    return tuple(Member(i, k, values, seed) for i, ((k, values), seed) in enumerate(pairs))


def rungs(steps: int, settings: int, every: int, *, halving: bool) -> tuple[int, ...]:
    """Where a sweep takes scores: at its end, and for successive halving at steps / 2, / 4, ... before it.

    As many halvings as leave one setting, and no rung shorter than two chunks of `every` steps, to whose multiples
    rungs are rounded (Jamieson & Talwalkar 2016, arXiv:1502.07943, with each rung twice as long as the one before).
    """
    ends = {steps}
    if halving:
        for k in range(1, math.ceil(math.log2(settings)) + 1):
            end = round(steps / 2**k / every) * every
            ends |= {end} if end >= 2 * every else set()
    return tuple(sorted(ends))


def survivors(scores: Mapping[int, float | None], *, lower_is_better: bool) -> list[int]:
    """The better half of the settings, rounded up, by score; None is worse than any."""
    sign = 1 if lower_is_better else -1
    order = sorted(scores, key=lambda k: (scores[k] is None, sign * (scores[k] or 0), k))
    return sorted(order[: math.ceil(len(order) / 2)])


def groups(plan: Plan, experiment: Experiment, chosen: Sequence[Member]) -> Iterator[tuple[list[Member], list[str]]]:
    """Members that one program can train, with the options that differ between them, as traced numbers."""
    options = experiment.run_options | experiment.recipe_options

    def shape(member: Member) -> tuple[Any, ...]:
        # None is code: no average to keep, no second learning rate.
        return tuple(
            value if not options[name].scales or value is None else "number" for name, value in member.values.items()
        )

    for _, group in itertools.groupby(sorted(chosen, key=lambda m: (repr(shape(m)), m.number)), key=shape):
        together = list(group)
        yield (
            together,
            [name for name, value in together[0].values.items() if options[name].scales and value is not None],
        )


def rounds(chosen: Sequence[Member], capacity: int) -> list[list[Member]]:
    """Rounds of equal size (the last may be shorter) with at most `capacity` members each."""
    size = math.ceil(len(chosen) / math.ceil(len(chosen) / capacity))
    return [list(chosen[start : start + size]) for start in range(0, len(chosen), size)]


def shown(value: Any) -> str:
    """A value of an option, short."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
