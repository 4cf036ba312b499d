"""Values of options that are more than a number: schedules over the run, and penalties with their weights.

Each has a `code`, what decides the compiled program, and `numbers`, what members of one population may differ in.
"""

import math
import re
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax import penalties, schedules
from gan_jax.typing import Number, Schedule

Parse = Callable[[str], Any]
KINDS = ("linear", "cosine", "steps")


class Scheduled(NamedTuple):
    """A number that changes over the run, typed as linear:A:B, cosine:A:B (over its first part: cosine:A:B:SHARE) or
    steps:A,B,C (equal stages).

    Attributes:
      kind: its form.
      values: both ends, or the value of every stage.
      share: the part of the run, in (0, 1], over which it changes.
    """

    kind: str
    values: tuple[Any, ...]
    share: float = 1.0

    @property
    def code(self) -> Hashable:
        return self.kind, len(self.values), self.share

    @property
    def numbers(self) -> tuple[Any, ...]:
        return self.values

    def with_numbers(self, numbers: Sequence[Any]) -> "Scheduled":
        return self._replace(values=tuple(numbers))

    def over(self, steps: int) -> Schedule:
        """The function of the step, for a run of so many."""
        if self.kind == "steps":
            return schedules.stages(self.values, steps)
        make = schedules.linear if self.kind == "linear" else schedules.cosine
        start, end = self.values
        return make(start, end, max(1, round(self.share * steps)))

    def __str__(self) -> str:
        if self.kind == "steps":
            return "steps:" + ",".join(map(repr, self.values))
        ends = ":".join(map(repr, self.values))
        return f"{self.kind}:{ends}" + ("" if self.share == 1 else f":{self.share!r}")


class Penalties(NamedTuple):
    """Penalties with their weights, typed as NAME:WEIGHT+NAME:WEIGHT, or none."""

    terms: tuple[tuple[str, Any], ...]

    @property
    def code(self) -> Hashable:
        return tuple((name, code_of(weight)) for name, weight in self.terms)

    @property
    def numbers(self) -> tuple[Any, ...]:
        return tuple(number for _, weight in self.terms for number in numbers_of(weight))

    def with_numbers(self, numbers: Sequence[Any]) -> "Penalties":
        rest, terms = list(numbers), []
        for name, weight in self.terms:
            count = len(numbers_of(weight))
            terms.append((name, with_numbers(weight, rest[:count])))
            rest = rest[count:]
        return Penalties(tuple(terms))

    def over(self, steps: int) -> penalties.Penalty:
        """The penalty, its weights' schedules those of a run of so many steps."""
        if not self.terms:
            return penalties.none
        made = [penalties.PENALTIES[name](over(weight, steps)) for name, weight in self.terms]
        return made[0] if len(made) == 1 else penalties.total(*made)

    def __str__(self) -> str:
        return "+".join(f"{name}:{weight}" for name, weight in self.terms) or "none"


Compound = (Scheduled, Penalties)


def code_of(value: Any) -> Hashable:
    """What of a scaling option's value decides the program: nothing of a number, all of None."""
    if isinstance(value, Compound):
        return type(value).__name__, value.code
    return None if value is None else "number"


def numbers_of(value: Any) -> tuple[Any, ...]:
    """The numbers of a scaling option's value, which may be traced."""
    if isinstance(value, Compound):
        return value.numbers
    return () if value is None else (value,)


def with_numbers(value: Any, numbers: Sequence[Any]) -> Any:
    """The value with other numbers, in the order of `numbers_of`."""
    if isinstance(value, Compound):
        return value.with_numbers(numbers)
    return value if value is None else numbers[0]


def over(value: Any, steps: int) -> Number | Any:
    """A scaling option's value as recipes take it, in a run of so many steps; None stays None.

    Numbers become float32 scalars, so that a run computes what a population's member does, whose numbers are traced.
    """
    if isinstance(value, Compound):
        return value.over(steps)
    if value is None or isinstance(value, jax.Array):  # Traced.
        return value
    return jax.device_put(np.float32(value))  # A cast by JAX would compile a program.


def scaling(parse: Parse, parse_end: Parse | None = None) -> Parse:
    """A parser of what `parse` takes, or of a schedule whose values it takes, and whose ends `parse_end` takes."""
    parse_end = parse_end or parse

    def read(text: str) -> Any:
        kind, *parts = text.split(":")
        if kind not in KINDS:
            return parse(text)
        if kind == "steps":
            if len(parts) != 1:
                raise ValueError(f"expected steps:A,B,... (a value for each equal part of the run), got {text!r}")
            return Scheduled("steps", tuple(parse(value) for value in parts[0].split(",")))
        if len(parts) not in (2, 3):
            raise ValueError(f"expected {kind}:START:END or {kind}:START:END:SHARE (of the run), got {text!r}")
        return Scheduled(kind, tuple(parse_end(end) for end in parts[:2]), *(_share(share) for share in parts[2:]))

    return read


def penalty_terms(parse_weight: Parse) -> Parse:
    """A parser of NAME:WEIGHT+NAME:WEIGHT and of none."""

    def read(text: str) -> Penalties:
        if text == "none":
            return Penalties(())
        terms = []
        for term in re.split(r"\+(?=[A-Za-z_])", text):
            name, _, weight = term.partition(":")
            if name not in penalties.PENALTIES or not weight:
                known = ", ".join(penalties.PENALTIES)
                raise ValueError(f"expected none or NAME:WEIGHT, joined by +, NAME one of {known}, got {text!r}")
            terms.append((name, parse_weight(weight)))
        return Penalties(tuple(terms))

    return read


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise ValueError(f"expected a share of the run in (0, 1], got {text!r}")
    return share


def split_list(text: str) -> list[str]:
    """A list A,B,C as its items: commas inside parentheses, and between the values of steps:A,B, do not divide."""
    items: list[str] = []
    for piece in re.split(r",(?![^(]*\))", text):
        follows = items and re.search(r"(^|:)steps:[^:]*$", items[-1])
        if follows and re.fullmatch(r"[-+.\d].*|(log|uniform)\(.*", piece):
            items[-1] += f",{piece}"
        else:
            items.append(piece)
    return items
