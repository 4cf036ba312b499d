"""Timing on noisy machines: contenders take turns, so that other load on the machine affects all of them."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

Contender = Callable[[], float]  # Runs once and returns a rate, in any unit per second.


CLOCKS: Mapping[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""Clocks by name, in seconds: on a machine with other load the processor's time of one core says more."""


class Rate(NamedTuple):
    """Median and quartiles of a contender's rates."""

    median: float
    low: float
    high: float


class Ratio(NamedTuple):
    """Median and quartiles of the ratios of two contenders' rates, turn by turn."""

    median: float
    low: float
    high: float


def take_turns(contenders: Mapping[str, Contender], turns: int) -> dict[str, list[float]]:
    """The rates of every contender, one per turn; a first turn, which warms caches, is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(turns + 1):
        for name, run in contenders.items():
            rate = run()
            if turn:
                rates[name].append(rate)
    return rates


def rate(rates: list[float]) -> Rate:
    return Rate(*_quartiles(rates))


def ratio(ours: list[float], theirs: list[float]) -> Ratio:
    return Ratio(*_quartiles([a / b for a, b in zip(ours, theirs, strict=True)]))


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return median, low, high
