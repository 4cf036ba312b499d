import os
import shlex
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from experiments import pictures
from gan_jax import recipes
from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS, Experiment
from tests import pages
from tests.experiments.helpers import call
from tests.helpers import read_png
from tests.lab.helpers import call as lab_call

_TINY: dict[str, Any] = {"steps": 2, "batch_size": 4, "width": 4, "latent": 2}


def test_they_are_the_pictures_of_the_readme_and_the_guide() -> None:
    shown = {Path(link).name for page in [pages.README, *pages.PAGES] for link in pages.links(page)}
    others = ("sevens", *pictures.ROBOTS, "sweep_samples", "sweep_scores")
    assert shown >= {f"{name}.png" for name in (*EXPERIMENTS, *others)}
    assert "training.webp" in shown
    typed = [command for page in pages.PAGES for command in pages.typed(page)]
    assert f"python -m experiments.sweep {pictures.SWEEP}" in typed
    assert f"python -m experiments.sample runs/cdcgan/001 {pictures.SEVENS} --out sevens.png" in typed
    assert f"python -m experiments.sample runs/dcgan/002 {pictures.FEWER['robots_64']} --out robots.png" in typed
    assert {f"python -m experiments.run {command}" for command in pictures.ROBOTS.values()} <= set(typed)
    assert f"`run {pictures.MOVIE}`" in (pages.ROOT / "docs" / "recipes.md").read_text()


class Commands:
    """Runs commands in this process; of a sweep it only makes what that leaves."""

    def __init__(self, table: dict[str, Experiment]) -> None:
        self.table = table
        self.typed: list[str] = []

    def __call__(self, command: str, *arguments: object) -> None:
        self.typed.append(shlex.join([command, *map(str, arguments)]))
        if command == "sweep":
            for name in ("samples", "scores"):
                Path("kept/sweep").mkdir(parents=True, exist_ok=True)
                Path(f"kept/sweep/{name}.png").write_text(name)
        elif code := lab_call(command, *arguments, table=self.table):
            raise pictures.CommandError(code)


@pytest.mark.slow
def test_runs_are_trained_once_and_only_if_they_are_of_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table = {"cdcgan": Experiment(recipes.cgan, **_TINY)}  # MLPs, which compile sooner.
    commands = Commands(table)
    monkeypatch.setattr(pictures, "EXPERIMENTS", table)
    monkeypatch.setattr(pictures, "call", commands)
    monkeypatch.setattr(pictures, "ROBOTS", {"robots_dcgan": "cdcgan --seed 1", "robots_64": "cdcgan --seed 2"})
    where = ["--runs", "kept", "--out", "made"]
    assert call(pictures.main, "--only", "cdcgan,sevens,robots_dcgan,robots_64,sweep", *where) == 0
    assert commands.typed == [
        "run cdcgan --out kept/cdcgan --resume auto",
        "sample kept/cdcgan --label 7 --n 16 --out made/sevens.png",
        "run cdcgan --seed 1 --out kept/robots_dcgan --resume auto",
        "run cdcgan --seed 2 --out kept/robots_64 --resume auto",
        "sample kept/robots_64 --n 20 --out made/robots_64.png",
        f"sweep {pictures.SWEEP} --out kept/sweep --resume auto",
    ]
    last = Path("kept/cdcgan/samples/0000002.png")
    assert Path("made/cdcgan.png").read_bytes() == last.read_bytes()
    assert read_png("made/sevens.png").ndim == 3
    assert read_png("made/robots_64.png").shape[0] < read_png("made/robots_dcgan.png").shape[0]
    last = Path("kept/robots_dcgan/samples/0000002.png")
    assert Path("made/robots_dcgan.png").read_bytes() == last.read_bytes()
    assert Path("made/sweep_samples.png").read_text() == "samples"
    assert Path("made/sweep_scores.png").read_text() == "scores"

    table["cdcgan"] = Experiment(recipes.cgan, **{**_TINY, "steps": 3}, lr=1e-3)
    assert call(pictures.main, "--only", "sevens", *where) == 2
    assert "other options than today's defaults (steps, lr): remove it" in capsys.readouterr().err
    assert len(commands.typed) == 6


def test_the_picture_that_moves_shows_the_first_and_the_last_grid(tmp_path: Path) -> None:
    for step in range(60):  # A white bar that moves from left to right.
        sheet = np.zeros((16, 60 * 8, 3), np.uint8)
        sheet[:, 8 * step : 8 * step + 8] = 255
        Image.fromarray(sheet).save(tmp_path / f"{step:07d}.png")
    pictures._animate(tmp_path, tmp_path / "moves.webp")
    steps = []
    with Image.open(tmp_path / "moves.webp") as moving:
        for frame in range(moving.n_frames):
            moving.seek(frame)
            brightness = np.asarray(moving.convert("L"), np.float32).reshape(16, 60, 8).mean(axis=(0, 2))
            steps.append(int(brightness.argmax()))
    assert steps[0] == 0
    assert steps[-1] == 59
    assert 30 < len(steps) <= 48
    assert steps == sorted(steps)
    assert steps[10] < 59 / 4  # Closely spaced at first.


def test_without_grids_nothing_moves(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no sample grids"):
        pictures._animate(tmp_path, tmp_path / "moves.webp")


def test_a_command_that_fails_ends_with_its_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"gan": Experiment(recipes.gan, **_TINY)}
    monkeypatch.setattr(pictures, "EXPERIMENTS", table)
    monkeypatch.setattr(pictures.sys, "executable", _script(tmp_path, "exit 3"))
    assert call(pictures.main, "--only", "gan", "--runs", tmp_path / "runs", "--out", tmp_path) == 3


def test_signals_are_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = tmp_path / "ready"
    script = f"trap 'exit 143' TERM; touch {ready}; while :; do sleep 0.02; done"
    monkeypatch.setattr(pictures.sys, "executable", _script(tmp_path, script))

    def interrupt() -> None:
        while not ready.exists():
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt, daemon=True).start()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(pictures.CommandError) as caught:
        pictures.call("run")
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def _script(directory: Path, text: str) -> str:
    """A program that takes Python's place."""
    script = directory / "script"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    return str(script)
