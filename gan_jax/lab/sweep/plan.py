"""What a sweep trains: settings from what was typed, a member per setting and seed, groups that share a program."""

import dataclasses
import itertools
import math
import random
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gan_jax.lab import values
from gan_jax.lab.experiment import Config
from gan_jax.lab.options import Option, spelled
from gan_jax.lab.progress import counted


class Span(NamedTuple):
    """Values to draw from, typed log:LOW:HIGH or log(LOW,HIGH) (uniform in the logarithm), or with uniform for log.

    Attributes:
      low, high: values whose numbers are the ends of each range; equal where there is nothing to draw.
      log: of every number, whether it is drawn uniformly in the logarithm.
    """

    low: Any
    high: Any
    log: tuple[bool, ...]

    @property
    def ranges(self) -> list[tuple[float, float, bool]]:
        """Of every number its ends, and whether it is drawn in the logarithm."""
        return list(zip(values.numbers_of(self.low), values.numbers_of(self.high), self.log, strict=True))

    def draw(self, rng: random.Random) -> Any:
        return values.with_numbers(self.low, [_drawn(rng, *ends) for ends in self.ranges])

    def __str__(self) -> str:
        def typed(low: float, high: float, log: bool) -> Any:
            return low if low == high else _Word(f"{'log' if log else 'uniform'}({low!r},{high!r})")

        return str(values.with_numbers(self.low, [typed(*ends) for ends in self.ranges]))


Axis = tuple[Any, ...]
"""An option's choices, typed A,B,C: values and spans."""

_MOST = 2**16
_RANGE = re.compile(r"(log|uniform)\(([^,():]*),([^,():]*)\)")


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
        settings continues.
      logarithmic: the options whose numbers lie in the logarithm, for pictures.
    """

    base: Config
    members: tuple[Member, ...]
    rungs: tuple[int, ...]
    logarithmic: tuple[str, ...] = ()

    def config(self, member: Member) -> Config:
        """The configuration that would train this member alone."""
        return self.base.replace(**member.values, seed=member.seed)

    @property
    def swept(self) -> tuple[str, ...]:
        """The options that differ between members."""
        return tuple(self.members[0].values)

    @property
    def settings(self) -> int:
        """How many settings there are."""
        return self.members[-1].setting + 1

    def label(self, member: Member) -> str:
        """What a member's setting is, short."""
        word = self.base.experiment.word
        return ", ".join(f"{name} {shown(value, word(name))}" for name, value in member.values.items())


def axis(option: Option, text: str) -> Axis:
    """Reads A,B,C, each a value of the option or a span. ValueError says what was expected."""
    choices: list[Any] = []
    for item in values.split_list(text):
        # Members of two equal settings would have the same seeds, and be the same.
        if (chosen := _choice(option, item)) in choices:
            raise ValueError(f"expected different values, got {item!r} twice")
        choices.append(chosen)
    return tuple(choices)


def logarithmic(axes: Mapping[str, Axis]) -> tuple[str, ...]:
    """The options with a range to draw from in the logarithm, or a list of numbers far apart."""

    def far_apart(axis: Axis) -> bool:
        return all(type(choice) in (int, float) for choice in axis) and max(axis) >= 10 * min(axis) > 0

    return tuple(
        name for name, axis in axes.items() if any(isinstance(c, Span) and any(c.log) for c in axis) or far_apart(axis)
    )


def low_of(choice: Any) -> Any:
    """A value that may stand for a choice: of a span its lowest."""
    return choice.low if isinstance(choice, Span) else choice


def _choice(option: Option, text: str) -> Any:
    """A value of the option, or a span."""
    kind, *ends = text.split(":")
    if kind in ("log", "uniform") and ends:
        if len(ends) != 2:
            raise ValueError(f"expected {kind}:LOW:HIGH, got {text!r}")
        text = f"{kind}({','.join(ends)})"
    kinds = [kind for kind, _, _ in _RANGE.findall(text)]
    if not kinds:
        return option.parse(text)
    low, high = (option.parse(_RANGE.sub(rf"\{end}", text)) for end in (2, 3))
    if not option.scales or low is None or values.code_of(low) != values.code_of(high):
        raise ValueError(f"only options that are real numbers have ranges, list this one's values, got {text!r}")
    pairs = list(zip(values.numbers_of(low), values.numbers_of(high), strict=True))
    # Only in a range do they differ: the ranges' kinds are those of such pairs, in order.
    rest = iter(kinds)
    log = tuple(a != b and next(rest) == "log" for a, b in pairs)
    if any(rest) or any(a > b or (logarithmic and a <= 0) for (a, b), logarithmic in zip(pairs, log, strict=True)):
        raise ValueError(
            f"expected uniform(LOW,HIGH) with LOW < HIGH, or log(LOW,HIGH) with 0 < LOW < HIGH, got {text!r}"
        )
    return Span(low, high, log)


def _drawn(rng: random.Random, low: float, high: float, log: bool) -> float:
    if low == high:
        return low
    drawn = math.exp(rng.uniform(math.log(low), math.log(high))) if log else rng.uniform(low, high)
    return min(max(drawn, low), high)  # Rounding may lead out of the range.


def members(axes: Mapping[str, Axis], draws: int | None, seeds: int, first_seed: int) -> tuple[Member, ...]:
    """All combinations of choices, or `draws` random draws of every axis; each with `seeds` seeds.

    Raises:
      ValueError: a span without `draws`, more draws than there are settings, or more members than anybody could train.
    """
    combinations = math.prod(len(choices) for choices in axes.values())
    if (count := (draws or combinations) * seeds) > _MOST:
        raise ValueError(f"{count} members requested, at most {_MOST} allowed: list fewer values, --draws or --seeds")
    settings: list[dict[str, Any]]
    if draws is not None:
        finite = not any(isinstance(choice, Span) for choices in axes.values() for choice in choices)
        if finite and draws > combinations:
            raise ValueError(
                f"--draws {draws} is more than the {counted(combinations, 'setting')} in all: leave it out, or repeat "
                "settings with --seeds"
            )
        rng, seen = random.Random(first_seed), set[tuple[Any, ...]]()
        settings = []
        while len(settings) < draws:
            chosen = {name: rng.choice(choices) if len(choices) > 1 else choices[0] for name, choices in axes.items()}
            drawn = {name: c.draw(rng) if isinstance(c, Span) else c for name, c in chosen.items()}
            if not finite or tuple(drawn.values()) not in seen:
                seen.add(tuple(drawn.values()))
                settings.append(drawn)
    else:
        for name, choices in axes.items():
            if any(isinstance(choice, Span) for choice in choices):
                raise ValueError(f"--{name.replace('_', '-')} has a range: say how many settings to draw, --draws N")
        settings = [dict(zip(axes, chosen, strict=True)) for chosen in itertools.product(*axes.values())]
    pairs = itertools.product(enumerate(settings), range(first_seed, first_seed + seeds))
    return tuple(Member(i, k, chosen, seed) for i, ((k, chosen), seed) in enumerate(pairs))


def rungs(steps: int, settings: int, every: int, *, halving: bool) -> tuple[int, ...]:
    """Where a sweep takes scores: at its end, and for successive halving at steps / 2, / 4, ... before it.

    As many halvings as leave one setting, and no rung shorter than two chunks of `every` steps, to whose multiples
    rungs are rounded (Jamieson & Talwalkar 2016, arXiv:1502.07943, with each rung twice as long as the one before).

    Raises:
      ValueError: there is nothing to halve, or no room for a rung.
    """
    ends = {steps}
    if halving:
        if settings < 2:
            raise ValueError("--halving stops the worse half of the settings and there is one: list values, or --draws")
        for k in range(1, math.ceil(math.log2(settings)) + 1):
            end = round(steps / 2**k / every) * every
            ends |= {end} if end >= 2 * every else set()
        if len(ends) == 1:
            raise ValueError(
                f"--halving has no place to stop a half of the settings: half of {steps} steps is less than twice "
                f"--log-every, {every}; lower that"
            )
    return tuple(sorted(ends))


def survivors(scores: Mapping[int, float | None], *, lower_is_better: bool) -> list[int]:
    """The better half of the settings, rounded up, by score; None is worse than any."""
    sign = 1 if lower_is_better else -1
    order = sorted(scores, key=lambda k: (scores[k] is None, sign * (scores[k] or 0), k))
    return sorted(order[: math.ceil(len(order) / 2)])


def groups(plan: Plan, chosen: Sequence[Member]) -> Iterator[tuple[list[Member], list[str]]]:
    """Members that one program can train, with the names of the options whose numbers differ between them."""
    options = plan.base.experiment.options

    def codes(member: Member) -> tuple[Hashable, ...]:
        return tuple(code(options[name], value) for name, value in member.values.items())

    for _, group in itertools.groupby(sorted(chosen, key=lambda m: (repr(codes(m)), m.number)), key=codes):
        together = list(group)
        of = together[0].values
        yield together, [name for name in of if options[name].scales and values.numbers_of(of[name])]


def described(plan: Plan, devices: int) -> str:
    """The plan in a few lines, before anything is compiled."""
    seeds, found = len(plan.members) // plan.settings, list(groups(plan, plan.members))
    lines = [
        f"{counted(len(plan.members), 'member')} ({counted(plan.settings, 'setting')} x {counted(seeds, 'seed')}) in "
        f"{counted(len(found), 'program')}, on {counted(devices, 'device')}; scores after "
        f"{''.join(f'{rung:,}, ' for rung in plan.rungs[:-1])}{counted(plan.rungs[-1], 'step')}"
    ]
    for number, (group, names) in enumerate(found, 1):
        differ = [name for name in names if any(member.values[name] != group[0].values[name] for member in group)]
        same = {name: value for name, value in group[0].values.items() if name not in differ}
        of = f" of {plan.label(group[0]._replace(values=same))}" if same else ""
        numbers = f"; numbers that differ: {', '.join(differ)}" if differ else ""
        lines.append(f"  program {number}{of}: {counted(len(group), 'member')}{numbers}")
    return "\n".join(lines)


def code(option: Option, value: Any) -> Hashable:
    """What of a value decides the program. None is code: no average to keep, no second learning rate."""
    return values.code_of(value) if option.scales else value


def rounds(chosen: Sequence[Member], capacity: int) -> list[list[Member]]:
    """Rounds of equal size (the last may be shorter) with at most `capacity` members each."""
    size = math.ceil(len(chosen) / math.ceil(len(chosen) / capacity))
    return [list(chosen[start : start + size]) for start in range(0, len(chosen), size)]


def shown(value: Any, word: str = "none") -> str:
    """A value of an option, short; `word` for None."""
    if isinstance(value, values.Compound):
        return str(value.with_numbers([_Word(f"{number:.3g}") for number in value.numbers]))
    return f"{value:.3g}" if isinstance(value, float) else spelled(value, word)


class _Word(str):
    """What is written in the place of a number."""

    def __repr__(self) -> str:
        return str(self)
