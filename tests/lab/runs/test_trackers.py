import importlib.util
import json
import os
import subprocess
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_jax.lab import EXPERIMENTS
from gan_jax.lab.experiment import config
from gan_jax.lab.job import Job
from gan_jax.lab.runs import logs, trackers
from gan_jax.lab.runs.directory import RunDir
from tests.lab.helpers import call

LOGGING = """
import json
import numpy as np

def log(step, record):
    kept = {name: list(value.shape) if isinstance(value, np.ndarray) else value for name, value in record.items()}
    with open("tracked.jsonl", "a") as file:
        file.write(json.dumps({"step": step, **kept}) + "\\n")
    record.clear()

def failing(step, record):
    log(step, record)
    if step == 2:
        raise ConnectionError("the server\\nis gone")
"""


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(LOGGING)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    (tmp_path / "run").mkdir()
    return RunDir(tmp_path / "run", Job(config(EXPERIMENTS, "gan", {"width": 8}), (28, 28, 1), 0), 3)


def _tracked() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("tracked.jsonl").read_text().splitlines()]


def test_a_function_gets_what_metrics_jsonl_holds_and_the_grids() -> None:
    arguments = ["gan", "--width", 8, "--batch-size", 8, "--steps", 2, "--log-every", 1, "--out", "run"]
    assert call("run", *arguments, "--tracker", "mine.py:log") == 0
    real, *lines, grid = _tracked()
    assert real == {"step": 0, "real": [302, 302, 3]}
    assert grid == {"step": 2, "generated": [302, 302, 3]}
    assert {line.pop("step"): line for line in lines} == logs.read(Path("run/metrics.jsonl"))
    # Code is typed at each start, and never read from a record.
    assert "mine" not in Path("run/config.json").read_text() and not Path("run/tracker.json").exists()


def test_a_tracker_that_raises_is_said_once_and_called_no_more(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    record = {"d_loss": 0.5}
    with trackers.load("mine.py:failing")(run) as log:
        for step in (1, 2, 3, 4):
            log(step, record)
    assert capsys.readouterr().err == (
        "run: --tracker mine.py:failing failed (ConnectionError: the server is gone); the run goes on without it, "
        "metrics.jsonl holds everything\n"
    )
    assert [line["step"] for line in _tracked()] == [1, 2]
    assert record == {"d_loss": 0.5}  # Whatever the function does with its own.


def test_what_the_run_raises_is_not_taken_for_the_tracker_s(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OSError, match="disk"), trackers.load("mine.py:log")(run):
        raise OSError("disk full")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("when", ["start", "end"])
def test_a_package_that_fails_at_its_start_or_end_costs_nothing_else(
    when: str, run: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**settings: Any) -> None:
        raise RuntimeError("no login")

    tracked = types.SimpleNamespace(log=lambda record, step: None, finish=fail)
    package = types.SimpleNamespace(
        init=fail if when == "start" else lambda **settings: tracked, Settings=dict, Image=dict
    )
    monkeypatch.setitem(sys.modules, "wandb", package)
    with trackers.load("wandb")(run) as log:
        log(1, {"d_loss": 0.5})
    assert capsys.readouterr().err.count("--tracker wandb failed (RuntimeError: no login)") == 1
    assert (run.path / "tracker.json").exists() == (when == "end")


def test_a_resumed_run_goes_on_under_its_id(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, Any]] = []
    logged: list[tuple[int, Mapping[str, Any]]] = []

    def init(**settings: Any) -> Any:
        started.append(settings)
        return types.SimpleNamespace(log=lambda record, step: logged.append((step, record)), finish=lambda: None)

    package = types.SimpleNamespace(init=init, Settings=dict, Image=lambda pixels: ("image", pixels.shape))
    monkeypatch.setitem(sys.modules, "wandb", package)
    for step in (1, 2):
        with trackers.load("wandb")(run) as log:
            log(step, {"d_loss": step / 4})
            log(step, {"generated": np.zeros((4, 6, 3), np.uint8)})
    first, second = started
    assert first["id"] == second["id"] == json.loads((run.path / "tracker.json").read_text())["wandb"]
    assert first["config"]["experiment"] == "gan" and first["config"]["width"] == 8
    picture = {"generated": ("image", (4, 6, 3))}
    assert logged == [(1, {"d_loss": 0.25}), (1, picture), (2, {"d_loss": 0.5}), (2, picture)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "expected trackio, wandb, mlflow, FILE.py:FUNCTION or module:FUNCTION, got 'nothing'"),
        ("mine.py:absent", "--tracker mine.py:absent can't be loaded"),
        ("mlflow", "pip install 'gan-jax[mlflow]'"),
    ],
)
def test_what_can_not_be_loaded_is_one_sentence_before_anything_is_written(
    text: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert call("run", "gan", "--out", "run", "--tracker", text) == 2
    assert said in capsys.readouterr().err
    assert not Path("run").exists()


def _needs(package: str) -> pytest.MarkDecorator:
    absent = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(absent, reason=f"needs {package}: pip install -e '.[{package}]'")


def _log_twice(package: str, run: RunDir) -> str:
    """A run that is tracked, and again from where it was cut; its id."""
    for step in (1, 2):
        with trackers.load(package)(run) as log:
            log(step, {"d_loss": step / 4})
            log(step, {"generated": np.zeros((4, 6, 3), np.uint8)})
    return str(json.loads((run.path / "tracker.json").read_text())[package])


@_needs("trackio")
@pytest.mark.filterwarnings("default")
def test_trackio_keeps_all_steps_of_a_resumed_run_under_one_name(run: RunDir, tmp_path: Path) -> None:
    # In a process of its own: where its store lies it reads when it is imported.
    code = (
        "import json\n"
        "from pathlib import Path\n"
        "from gan_jax.lab import EXPERIMENTS\n"
        "from gan_jax.lab.experiment import config\n"
        "from gan_jax.lab.job import Job\n"
        "from gan_jax.lab.runs.directory import RunDir\n"
        "from tests.lab.runs.test_trackers import _log_twice\n"
        "from trackio.sqlite_storage import SQLiteStorage\n"
        "job = Job(config(EXPERIMENTS, 'gan', {}), (28, 28, 1), 0)\n"
        "name = _log_twice('trackio', RunDir(Path('run'), job, 3))\n"
        "print(json.dumps(SQLiteStorage.get_logs('gan_jax', name), default=str))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TRACKIO_DIR": str(tmp_path / "store"), "HF_HUB_OFFLINE": "1"},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    rows = json.loads(said.stdout.splitlines()[-1])
    assert {row["step"]: row["d_loss"] for row in rows if "d_loss" in row} == {1: 0.25, 2: 0.5}
    assert [row["step"] for row in rows if "generated" in row] == [1, 2]


@_needs("wandb")
@pytest.mark.filterwarnings("default")
def test_wandb_writes_offline_under_one_id(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    name = _log_twice("wandb", run)
    written = sorted(run.path.glob(f"wandb/offline-run-*-{name}/run-{name}.wandb"))
    assert written and all(b"d_loss" in file.read_bytes() for file in written)
