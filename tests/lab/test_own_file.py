"""A researcher's own file, outside the repository, has every command: `python mine.py run mine`."""

import contextlib
import functools
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import gan_jax
from gan_jax import InputError
from tests.helpers import assert_same
from tests.lab.helpers import call

_MINE = '''
import optax
from gan_jax import GAN, losses, penalties, priors, recipes, scheduled
from gan_jax.lab import EXPERIMENTS, Experiment, main
from gan_jax.nets import heads, mlp
from gan_jax.typing import Number


def mine(shape, num_classes=0, *, lr: Number = 2e-4, width: int = 8, weight: Number = 0.5):
    """Two small nets, the hinge loss.

    Args:
      weight: of R1.
    """
    return GAN(
        generator=mlp.Generator(shape, (width,), output=None),
        discriminator=mlp.Discriminator((width,), heads.Logit()),
        loss=losses.hinge(),
        penalty=penalties.r1(weight),
        g_optimizer=scheduled(optax.adam, lr),
        d_optimizer=scheduled(optax.adam, lr),
        prior=priors.normal(2),
    )


def labelled(shape, num_classes, *, lr: Number = 1e-3):
    """A built-in recipe, changed."""
    return recipes.cgan(shape, num_classes, lr=lr, width=8).replace(loss=losses.least_squares())


MINE = {
    "mine": Experiment(mine, steps=12, batch_size=4, data="ring"),
    "labelled": Experiment(labelled, steps=6, batch_size=4, log_every=3),
}

if __name__ == "__main__":
    main(EXPERIMENTS | MINE)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("somewhere else")
    (folder / "mine.py").write_text(_MINE)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)
    np.savez(folder / "tiny.npz", images=images, labels=np.arange(40) % 3)
    return folder


def _ran(folder: Path, *arguments: object) -> str:
    """What a command of the file prints, in a process of its own."""
    command = [sys.executable, "mine.py", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@functools.cache
def _mine(folder: Path) -> dict[str, Any]:
    """The names of the file."""
    scope: dict[str, Any] = {"__name__": "mine"}
    exec(compile((folder / "mine.py").read_text(), "mine.py", "exec"), scope)
    return scope


def _table(folder: Path) -> dict[str, gan_jax.lab.Experiment]:
    return {**gan_jax.lab.EXPERIMENTS, **_mine(folder)["MINE"]}


def _typed(folder: Path, *arguments: object, code: int = 0) -> str:
    """What a command of the file prints, typed in its folder; in this process."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["mine.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            _mine(folder)["main"](_table(folder))
    assert int(stop.value.code or 0) == code, said.getvalue()
    return said.getvalue()


@pytest.mark.slow
def test_as_a_script_it_runs_and_samples(folder: Path) -> None:
    assert "next: python mine.py sample a" in _ran(folder, "run", "mine", "--out", "a")
    _typed(folder, "sample", "a", "--n", 4, "--out", "a.npz")
    assert np.load(folder / "a.npz")["images"].shape == (4, 2)


def test_its_options_are_those_of_its_signature(folder: Path) -> None:
    text = _typed(folder, "run", "mine", "--help")
    for part in ("--lr X", "default: 0.0002", "--width X", "--weight X", "of R1", "--loss X", "Two small nets"):
        assert part in text
    assert "mine" in _typed(folder, "--help")
    assert "(did you mean --weight?)" in _typed(folder, "run", "mine", "--wieght", 1, code=2)


def test_it_runs_resumes_samples_evaluates_and_loads(folder: Path) -> None:
    said = _typed(folder, "run", "mine", "--lr", "cosine:1e-3:0", "--out", "whole")
    assert "next: python mine.py sample whole" in said
    _typed(folder, "run", "mine", "--lr", "cosine:1e-3:0", "--out", "cut", "--save-every", 5, "--log-every", 2)
    # Of the steps after a cut the run is the same to the bit, wherever it was cut.
    for path in ("whole", "cut"):
        _typed(folder, "run", "mine", "--resume", path, "--steps", 15)
    table = _table(folder)
    whole, cut = (gan_jax.load(folder / path, table=table) for path in ("whole", "cut"))
    assert int(whole.state.step) == 15
    assert_same(jax.device_get(whole.state), jax.device_get(cut.state))
    assert whole.sample(7).shape == (7, 2)
    with pytest.raises(InputError, match=r"no experiment 'mine'.* pass its table"):
        gan_jax.load(folder / "whole")

    _typed(folder, "sample", "whole", "--n", 9, "--out", "points.npz")
    assert np.load(folder / "points.npz")["images"].shape == (9, 2)
    _typed(folder, "evaluate", "whole", "--n", 100, "--sets", 2)
    record = json.loads((folder / "whole" / "evaluation.json").read_text())
    assert {"modes", "kl", "sliced_wasserstein"} <= record["metrics"].keys()
    assert "did you mean" not in _typed(folder, "run", "mine", "--resume", "auto", "--out", "whole", code=2)


@pytest.mark.slow
def test_it_sweeps_and_its_best_member_is_a_run(folder: Path) -> None:
    said = _typed(
        folder, "sweep", "mine", "--lr", "1e-4,1e-2", "--weight", "0.1,1", "--seeds", 2,
        "--steps", 6, "--score-samples", 100, "--out", "swept",
    )  # fmt: skip
    assert "8 members (4 settings x 2 seeds) in 1 program," in said
    assert "next: python mine.py sample swept/best" in said
    best = gan_jax.load(folder / "swept", table=_table(folder))
    assert best.job.config.name == "mine"
    assert int(best.state.step) == 6
    _typed(folder, "sample", "swept/best", "--out", "best.png")


@pytest.mark.slow
def test_it_is_studied(folder: Path) -> None:
    said = _typed(
        folder, "study", "mine", "--lr", "log:1e-4:1e-2", "--weight", "0.1,1", "--trials", 4, "--population", 2,
        "--steps", 4, "--score-samples", 100, "--storage", "s.log",
    )  # fmt: skip
    assert "4 trials; best sliced_wasserstein" in said


@pytest.mark.slow
def test_a_conditional_one_is_asked_for_classes(folder: Path) -> None:
    _typed(folder, "run", "labelled", "--data", "npz:tiny.npz", "--out", "asked")
    _typed(folder, "sample", "asked", "--label", 2, "--n", 4, "--out", "asked.npz")
    assert np.load(folder / "asked.npz")["labels"].tolist() == [2, 2, 2, 2]
    trained = gan_jax.load(folder / "asked", table=_table(folder))
    images = trained.sample(5, label=1)
    assert images.shape == (5, 8, 8, 1)
    assert images.dtype == np.uint8


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_bits(folder: Path) -> None:
    typed = ["run", "mine", "--steps", 1200, "--save-every", 50, "--log-every", 50, "--sample-every", 1200]
    command = [sys.executable, "mine.py", *map(str, typed), "--out", "killed", "--resume", "auto"]
    for kill in range(2):
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = set((folder / "killed" / "checkpoints").glob("*.json"))
        while process.poll() is None and set((folder / "killed" / "checkpoints").glob("*.json")) == before:
            time.sleep(0.01)
        time.sleep(0.02 * kill)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    _ran(folder, *typed, "--out", "killed", "--resume", "auto")
    _ran(folder, *typed, "--out", "undisturbed")
    table = _table(folder)
    killed, whole = (gan_jax.load(folder / path, table=table) for path in ("killed", "undisturbed"))
    assert int(killed.state.step) == 1200
    assert_same(jax.device_get(killed.state), jax.device_get(whole.state))


def test_a_run_of_it_is_no_run_of_the_built_in_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _typed(folder, "run", "mine", "--steps", 1, "--out", "only mine")
    assert call("sample", folder / "only mine", "--out", "x.png") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"sample: {folder / 'only mine'}: there is no experiment 'mine' here")
    assert "python FILE.py COMMAND" in error
