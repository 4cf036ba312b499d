import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.reproduce import __main__ as reproduce
from experiments.reproduce import lazy
from tests.experiments.helpers import call, trace_training


@pytest.mark.parametrize(("every", "weights"), [(1, [1, 1, 1, 1]), (2, [2, 0, 2, 0]), (0, [0, 0, 0, 0])])
def test_the_penalty_is_there_at_every_kth_step(every: int, weights: list[int]) -> None:
    """Half of gamma times the squared slope, at real and fake points."""
    penalty = lazy.maker(every, 8)({"lr": 1e-3, "gamma": 3.0}).penalty
    points = jnp.ones((4, 2))
    found = [
        float(penalty(lambda x: jnp.sum(x, axis=-1), points, points, jax.random.key(0), jnp.int32(k))) for k in range(4)
    ]
    assert found == [2 * 3.0 / 2 * 2 * weight for weight in weights]


def test_weighted_sums_of_trees() -> None:
    trees = [{"a": np.array([1.0, 2.0], np.float32)}, {"a": np.array([10.0, 30.0], np.float32)}]
    assert lazy._combined(trees, np.array([2.0, -0.5]))["a"].tolist() == [-3.0, -11.0]


def _results(**numbers: list[float]) -> list[dict[str, Any]]:
    return [{"seed": k, "numbers": dict(zip(numbers, own, strict=True)), "curves": {}}
            for k, own in enumerate(zip(*numbers.values(), strict=True))]  # fmt: skip


def test_the_table_has_quality_failures_and_cost() -> None:
    times = {name: [3.0, 6.0] if name == "k = 1" else [1.0, 2.0] for name in lazy.EVERY}
    rows = {
        "k = 2": _results(frechet=[10.0, 12.0, 40.0], averaged=[9.0, 9.0, 9.0], smallest=[5.0, 0.5, 5.0]),
        "milliseconds": _results(**times),
    }
    # One seed lacks a digit, another is far away.
    line = lazy._quality(rows).splitlines()[2]
    assert line.startswith("| **k = 2** | 3 | 2 | 20.7 [10.0, 40.0] | 9.0 [9.0, 9.0] |")
    assert line.endswith("| 1.50 [1.00, 2.00] | 1.00 [1.00, 1.00] |")
    assert lazy._time_shown(rows["milliseconds"], "k = 1")[1] == "3.00 [3.00, 3.00]"


@pytest.mark.slow
def test_the_command_makes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace_training(monkeypatch)
    monkeypatch.setattr(lazy, "EVERY", {"k = 1": 1, "no penalty": 0})
    monkeypatch.setattr(lazy, "PROTOCOLS", {"small": lazy.PROTOCOLS["small"]._replace(steps=16, timed=2)})
    monkeypatch.setattr(lazy, "_STOPS", 16)
    monkeypatch.setattr(lazy, "_ENDS", (4, 8, 12, 16))
    monkeypatch.setattr(lazy, "_LENGTHS", (0.05, 0.1))
    monkeypatch.setattr(lazy, "_TURNS", 2)
    assert call(reproduce.main, "lazy", "--budget", "small", "--out", tmp_path) == 0
    rows = json.loads((tmp_path / "lazy-small.json").read_text())["rows"]
    assert list(rows) == ["real images", "k = 1", "no penalty", "milliseconds"]
    for result in rows["k = 1"]["results"]:
        assert {len(curve) for curve in result["curves"].values()} == {4}
        assert None not in result["numbers"].values()
    for result in rows["no penalty"]["results"]:
        assert {len(curve) for curve in result["curves"].values()} == {1}
    assert (tmp_path / "lazy-small.png").stat().st_size > 10_000
