import json
from pathlib import Path

import numpy as np
import pytest

import gan_jax
from experiments import pictures, shipped
from gan_jax.lab import EXPERIMENTS
from tests.experiments.helpers import call
from tests.lab.exports.helpers import made


@pytest.mark.slow
def test_a_model_is_a_run_at_the_defaults_measured_and_rounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On tiny data, with commands that only leave what training and measuring would."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1)).astype(np.uint8)
    np.savez("tiny.npz", images=pixels)
    typed = []

    def command(name: str, *arguments: object) -> None:
        typed.append((name, *map(str, arguments)))
        if name == "run":
            made(Path("kept/gan"), "gan", "npz:tiny.npz", depth="2", latent="5", ema="0.9")
        else:
            row = {"value": 1.5, "spread": 0.1, "spread_of": "5 sets", "floor": 1.0, "ceiling": None, "values": [1.5]}
            record = {"step": 2, "n": 10, "complete": True, "features": {"name": "these"}, "metrics": {"frechet": row}}
            Path("kept/gan/evaluation.json").write_text(json.dumps(record))

    monkeypatch.setattr(pictures, "call", command)
    monkeypatch.setattr(pictures, "check", lambda path, defaults: None)
    monkeypatch.setattr(shipped, "MODELS", {"tiny": "gan"})
    where = ["--runs", "kept", "--out", "made", "--only", "tiny"]
    for _ in range(2):  # The second time it finds all that it needs.
        assert call(shipped.main, *where) == 0
        assert typed == [("run", "gan", "--out", "kept/gan", "--resume", "auto"), ("evaluate", "kept/gan")]
    assert {path.name for path in Path("made/tiny").iterdir()} == {
        "README.md", "export.json", "samples.png", "weights.safetensors"
    }  # fmt: skip
    run, model = gan_jax.load("kept/gan"), gan_jax.load("made/tiny")
    difference = np.abs(run.sample(1000).astype(int) - model.sample(1000))
    assert model.record is not None
    assert model.record["rounded"]["largest"] == difference.max() <= 2
    assert model.record["rounded"]["share"] == pytest.approx((difference > 0).mean())
    card = Path("made/tiny/README.md").read_text()
    assert "Of 10 samples at step 2, features: these." in card
    assert "| `frechet` | 1.5 ± 0.1 | lower | 1 |  |" in card
    assert "not known here: add it before you hand this on" in card


def test_a_command_that_stops_is_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(name: str, *arguments: object) -> None:
        raise pictures.CommandError(143)

    monkeypatch.setattr(pictures, "call", command)
    assert call(shipped.main, "--runs", tmp_path, "--out", tmp_path / "made") == 143
    assert not (tmp_path / "made").exists()


def test_the_models_are_of_experiments_that_there_are() -> None:
    assert set(shipped.MODELS.values()) <= set(EXPERIMENTS)
