import json
import os
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from experiments.reproduce import __main__ as reproduce
from experiments.reproduce import defaults
from gan_jax import recipes
from gan_jax.gan import GAN
from gan_jax.lab import Experiment, devices
from gan_jax.lab.experiment import config
from gan_jax.typing import Rate, Shape
from tests.experiments.helpers import call
from tests.lab.helpers import call as lab_call

_TINY: dict[str, Any] = {"steps": 2, "batch_size": 4, "width": 4, "latent": 2}
_TABLE = {
    "gan": Experiment(recipes.gan, **_TINY, ema=0.5, paper={"lr": 0.5}),
    "cgan": Experiment(recipes.cgan, **_TINY),
    "completion": Experiment(recipes.completion, **_TINY),
}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(defaults, "EXPERIMENTS", _TABLE)
    monkeypatch.setattr(reproduce, "EXPERIMENTS", _TABLE)
    monkeypatch.setattr(defaults, "_COUNTS", (100, 200))
    monkeypatch.setattr(defaults, "_SEEDS", 2)
    monkeypatch.setattr(defaults, "_SECONDS", 0.01)
    monkeypatch.setattr(os, "cpu_count", lambda: devices.cores() + 1)  # So that seeds are not followed by seconds.


def _rows() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("tables/defaults.json").read_text())["rows"]
    return found


def _cells(name: str) -> list[str]:
    lines = Path("tables/defaults.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"| `{name}`")]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.slow
def test_a_row_is_the_median_and_the_worst_of_its_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(reproduce.main, "defaults", "--only", "gan") == 0
    assert "seconds are not measured" in capsys.readouterr().err
    first, second = (result["numbers"] for result in _rows()["gan"]["results"])
    assert first.keys() == {"frechet_few", "frechet", "coverage", "smallest"}
    assert first["frechet"] != second["frechet"]
    # Both seeds are without most digits after two steps.
    median, worst = sum(own["frechet"] for own in (first, second)) / 2, max(own["frechet"] for own in (first, second))
    assert _cells("gan")[1:5] == ["2", "", "2", "2"]
    assert _cells("gan")[6] == f"{median:.1f} ({worst:.1f})"


@pytest.mark.slow
def test_a_seed_has_the_numbers_that_evaluate_has_first_of_its_run() -> None:
    assert call(reproduce.main, "defaults", "--only", "gan") == 0
    second = _rows()["gan"]["results"][1]["numbers"]
    assert lab_call("run", "gan", "--seed", 1, "--out", "run", table=_TABLE) == 0
    typed = ["run", "--n", 200, "--sets", 1, "--metrics", "frechet,prdc"]
    assert lab_call("evaluate", *typed, table=_TABLE) == 0
    metrics = json.loads(Path("run/evaluation.json").read_text())["metrics"]
    assert second["frechet"] == metrics["frechet"]["value"]
    assert second["coverage"] == metrics["coverage"]["value"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cgan", "completion"])
def test_samples_of_a_condition_are_read(name: str) -> None:
    assert call(reproduce.main, "defaults", "--only", name, "--seeds", 1) == 0
    (result,) = _rows()[name]["results"]
    assert None not in result["numbers"].values()
    # After two steps chance decides; the upper halves that completion is given can be read a little.
    assert 0 <= result["numbers"]["gan_test"] < (0.3 if name == "cgan" else 0.9)


@pytest.mark.slow
def test_a_seed_that_is_not_finite_is_a_failure_and_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(shape: Shape, num_classes: int = 0, *, lr: Rate = 1e-3) -> GAN:
        def g_loss(real: jax.Array | None, fake: jax.Array) -> jax.Array:
            return fake.mean() * jnp.nan

        gan = recipes.gan(shape, lr=lr, width=4, latent=2)
        return gan.replace(loss=gan.loss._replace(g=g_loss))

    monkeypatch.setitem(_TABLE, "gan", Experiment(broken, steps=2, batch_size=4))
    assert call(reproduce.main, "defaults", "--only", "gan") == 0
    assert [set(result["numbers"].values()) for result in _rows()["gan"]["results"]] == [{None}, {None}]
    assert _cells("gan")[3:6] == ["2", "2", "not finite (not finite)"]


def test_seconds_are_a_result_of_their_own() -> None:
    assert call(reproduce.main, "defaults", "--only", "gan", "--time") == 0
    assert list(_rows()) == ["gan, seconds"]
    (result,) = _rows()["gan, seconds"]["results"]
    assert result["numbers"]["seconds"] == pytest.approx(2 / result["numbers"]["steps_per_s"])
    assert _cells("gan")[3:5] == ["", ""]


def test_seconds_follow_in_a_process_that_may_use_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(os, "cpu_count", devices.cores)
    monkeypatch.setattr(os, "execv", lambda *arguments: started.extend(arguments))
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "experiments.reproduce", "defaults"])
    reproduce._time_next()
    assert started == [sys.executable, ["python", "-m", "experiments.reproduce", "defaults", "--time"]]


@pytest.mark.slow
def test_a_changed_default_makes_another_row() -> None:
    before = defaults.settings(config(_TABLE, "gan", {}))
    for option, value in {"lr": 1e-3, "steps": 3, "ema": None, "loss": "hinge"}.items():
        assert defaults.settings(config(_TABLE, "gan", {option: value})) != before
    for option, value in {"seed": 5, "log_every": 7, "save_every": 7}.items():
        assert defaults.settings(config(_TABLE, "gan", {option: value})) == before


def test_which_seeds_failed() -> None:
    # The median is that of 10, 10, 11, 12, 21, 24.1 and infinity: 12.
    found = {0: (10, 9.0), 1: (10, 0.9), 2: (11, 1.0), 3: (12, 9.0), 4: (21, 9.0), 5: (None, None), 6: (24.1, 9.0)}
    results = [{"seed": seed, "numbers": {"frechet": f, "smallest": s}} for seed, (f, s) in found.items()]
    assert defaults.failed(results) == [1, 5, 6]


@pytest.mark.parametrize(
    ("table", "option"), [("ring", ["--time"]), ("ring", ["--only", "gan"]), ("papers", ["--time"])]
)
def test_options_of_the_tables_of_experiments_alone(
    table: str, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(reproduce.main, table, *option) == 2
    assert "for the table" in capsys.readouterr().err


@pytest.mark.slow
def test_papers_settings_have_no_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(reproduce.main, "papers", "--only", "gan", "--seeds", "1") == 0
    (row,) = json.loads((Path("tables") / "papers.json").read_text())["rows"].values()
    assert row["settings"]["lr"] == 0.5 and len(row["results"]) == 1
    assert "seconds of a run" not in capsys.readouterr().out
