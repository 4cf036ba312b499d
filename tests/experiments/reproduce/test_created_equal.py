import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.reproduce import __main__ as reproduce
from experiments.reproduce import created_equal as equal
from experiments.reproduce import objectives
from experiments.reproduce.objectives import OBJECTIVES
from tests.experiments.helpers import call, trace_training


def _results(distances: Sequence[float | None], **numbers: Sequence[float]) -> list[dict[str, Any]]:
    own = [dict(zip(numbers, values, strict=True)) for values in zip(*numbers.values(), strict=True)]
    own = own or [{} for _ in distances]
    return [
        {"seed": k, "numbers": {"frechet": distance, **each}, "core_seconds": 1.0}
        for k, (distance, each) in enumerate(zip(distances, own, strict=True))
    ]


@pytest.mark.parametrize(
    ("scores", "alive", "left"),
    [
        ([3, 1, 2, 4], [1, 1, 1, 1], [0, 1, 1, 0]),
        ([3, 1, 2, np.nan], [1, 1, 1, 0], [0, 1, 1, 0]),  # Of three two go on.
        ([np.inf, 5, np.inf, np.inf], [1, 1, 1, 1], [0, 1, 0, 0]),
        ([1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0]),
    ],
)
def test_the_better_half_goes_on(scores: list[float], alive: list[int], left: list[int]) -> None:
    assert equal.better_half(np.array(scores, float), np.array(alive, bool)).tolist() == [bool(x) for x in left]


def test_the_best_setting_is_one_that_was_trained_to_the_end() -> None:
    search = _results([1.0, 5.0, None, 4.0], minibatches=[10, 20, 20, 20])
    assert equal.best(search)["seed"] == 3


def test_seeds_above_twice_the_median_failed() -> None:
    assert equal.failed(_results([10, 11, 12, 23])) == 0
    assert equal.failed(_results([10, 11, 12, 24, None])) == 1
    assert equal.failed(_results([10, 10, 21, 10, None])) == 2


def test_least_of_some_is_shown_with_its_range() -> None:
    assert equal.least_shown([1.0, 5.0, 9.0], 1) == "5 [1, 9]"
    assert equal.least_shown([1.0, 5.0, 9.0], 3) == "1"


def test_the_tables_rank_objectives_and_say_who_beats_whom() -> None:
    rows: dict[str, Any] = {"real images": {"results": _results([2.0])}}
    own = {key: [1e-3] for key in ("lr", "d_lr", "b1", "b2", "weight")}
    for name, distances in (("hinge", [7.0, 9.0, 8.0]), ("minimax", [4.0, 5.0, 7.0])):
        rows[equal.searched(name)] = {"results": _results([6.0], minibatches=[20], n_critic=[5], **own)}
        rows[name] = {"results": _results(distances)}
    lines = equal._body(0, rows).splitlines()
    assert lines[2].startswith("| real images | 1 | 2.0 | 2.0 |")
    assert lines[3].startswith("| **minimax** | 3 | 5.3 [")
    assert lines[3].endswith("| 0 | 6.0 | 9.8 |")
    assert lines[4].startswith("| **hinge** | 3 | 8.0 [")
    # Of nine pairs minimax is lower in eight and equal in one.
    row = next(line for line in lines if line.startswith("| minimax |  | 0."))
    assert row.startswith("| minimax |  | 0.94 [")


def _counted(spec: str, protocol: equal.Protocol, members: Sequence[Any]) -> "Recorder":
    return Recorder(members)


class Recorder:
    """Scores each member as its setting's rate of G, and keeps what it was asked."""

    asked: list[tuple[list[str], list[bool], int, int]] = []  # noqa: RUF012

    def __init__(self, members: Sequence[Any]) -> None:
        self.members = members

    def scores(self, alive: np.ndarray, minibatches: int, n: int) -> np.ndarray:
        self.asked.append(([name for name, _, _ in self.members], alive.tolist(), minibatches, n))
        return np.where(alive, [own["lr"] for _, own, _ in self.members], np.nan)


def test_search_halves_each_objective_and_its_best_setting_gets_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = equal.Protocol(4, (10, 20, 40), 3, 100, 200, 8)
    monkeypatch.setattr(equal, "_Groups", _counted)
    monkeypatch.setattr(Recorder, "asked", asked := [])
    found = equal._search("any", protocol, ("hinge", "DRAGAN"), (0, 1, 2, 3))
    assert [minibatches for _, _, minibatches, _ in asked] == [10, 20, 40]
    rates = [objectives.setting("hinge", k)["lr"] for k in range(4)]
    order = np.argsort(rates)
    for name in ("hinge", "DRAGAN"):
        assert [outcome.numbers["frechet"] for outcome in found[name]] == rates
        trained = [outcome.numbers["minibatches"] for outcome in found[name]]
        assert [trained[k] for k in order] == [40, 20, 10, 10]
    searches = [
        [{"seed": k, "numbers": dict(outcome.numbers)} for k, outcome in enumerate(found[name])]
        for name in ("hinge", "DRAGAN")
    ]
    monkeypatch.setattr(equal, "together", lambda name: ("hinge", "DRAGAN"))
    outcomes = equal._measure_seeds("any", protocol, "DRAGAN", range(3), *searches)
    assert [outcome.numbers["setting"] for outcome in outcomes] == [order[0]] * 3
    assert asked[-1] == (["hinge"] * 3 + ["DRAGAN"] * 3, [True] * 6, 40, 200)


@pytest.mark.slow
@pytest.mark.parametrize("names", [("DRAGAN",), ("hinge", "Wasserstein, clip")])
def test_the_command_makes_the_table(names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace_training(monkeypatch)
    monkeypatch.setattr(objectives, "OBJECTIVES", {name: OBJECTIVES[name] for name in names})
    monkeypatch.setattr(
        equal, "together", functools.partial(objectives.alike) if len(names) > 1 else lambda name: (name,)
    )
    assert call(reproduce.main, "created_equal", "--budget", "small", "--out", tmp_path) == 0
    rows = json.loads((tmp_path / "created_equal-small.json").read_text())["rows"]
    assert len(rows) == 2 + 2 * len(names)
    for name in names:
        search = [result["numbers"] for result in rows[equal.searched(name)]["results"]]
        assert sorted(numbers["minibatches"] for numbers in search) == [10, 10, 20, 20]
        assert [result["numbers"]["setting"] for result in rows[name]["results"]] == [
            equal.best(rows[equal.searched(name)]["results"])["seed"]
        ] * 2
    assert (tmp_path / "created_equal-small.png").stat().st_size > 10_000


def test_a_budget_that_a_table_does_not_have_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call(reproduce.main, "ring", "--budget", "paper", "--out", tmp_path) == 2
    assert "the table ring has no budget paper: choose it of created_equal" in capsys.readouterr().err
