import json
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import gan_jax
from experiments.shipped import MODELS
from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS
from gan_jax.lab.exports import shipped
from gan_jax.metrics import features
from tests.helpers import read_png


def test_the_models_are_those_that_the_command_makes() -> None:
    assert shipped.names() == sorted(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_each_is_small_has_its_card_and_was_trained_at_the_defaults(name: str) -> None:
    folder = shipped.models() / name
    sizes = [file.stat().st_size for file in folder.iterdir()]
    assert {file.name for file in folder.iterdir()} == {
        "README.md",
        "export.json",
        "samples.png",
        "weights.safetensors",
    }
    assert sum(sizes) < 1_000_000
    record, card = json.loads((folder / "export.json").read_text()), (folder / "README.md").read_text()
    assert record["command"] == f"python -m experiments.run {MODELS[name]}"
    assert record["step"] == EXPERIMENTS[MODELS[name]].defaults["steps"]
    assert record["averaged"] and record["metrics"]["step"] == record["step"]
    assert {dtype for dtype, _ in record["weights"].values()} == {"float16"}
    assert record["rounded"]["largest"] <= 2 and record["rounded"]["share"] < 0.02
    for text in ("CC BY-SA 3.0", record["command"], "`frechet`", "rounded to float16", "## Limits"):
        assert text in card
    assert "/tmp" not in card and "/home" not in card
    assert read_png(folder / "samples.png").shape == (302, 302, 3)


def test_digits_are_those_that_were_asked_for() -> None:
    """As a classifier of real digits reads them, whose own accuracy is .9935."""
    model = gan_jax.load("mnist-cdcgan")
    labels = np.arange(200, dtype=np.int32) % 10
    images = model.sample(200, y=labels, seed=1)
    assert (images.shape, images.dtype) == ((200, 28, 28, 1), np.uint8)
    read = np.asarray(features.load("mnist").logits(jnp.asarray(images))).argmax(axis=1)
    assert (read == labels).mean() >= 0.97
    assert (model.sample(2, label=7) == model.sample(2, label="7")).all()


def test_the_first_sample_compiles_few_programs_and_imports_what_it_needs() -> None:
    """Of a new process: each program takes a tenth of a second or more, and each of these packages about half a one."""
    code = """
import sys
import jax
compiled = []
jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **others: compiled.append((event, others)))
import gan_jax
gan_jax.load("mnist-cdcgan").sample(16, label=7)
compiled = [others for event, others in compiled if event.endswith("backend_compile_duration")]
print(2 <= len(compiled) <= 4 or compiled)
print({"orbax", "matplotlib", "tensorflow_datasets", "PIL", "scipy"} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True\nset()\n", done.stderr


def test_the_picture_of_a_model_is_what_it_makes() -> None:
    model = gan_jax.load("mnist-wgan")
    x = model.sample(100, seed=0)
    picture = read_png(shipped.models() / "mnist-wgan" / "samples.png").astype(int)
    assert np.abs(picture[2:30, 2:30, 0] - x[0, :, :, 0]).max() <= 1  # Rounding may differ between machines.
    assert model.job.config.name == "wgan"


def test_a_directory_of_that_name_goes_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"mnist-gan is not a run.*which has mnist-cdcgan, mnist-wgan"):
        gan_jax.load("mnist-gan")
    (tmp_path / "mnist-wgan").mkdir()
    with pytest.raises(InputError, match=r"mnist-wgan is not a run, it has no config.json"):
        gan_jax.load("mnist-wgan")
