import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gan_jax
from gan_jax import InputError, checkpoint
from gan_jax.lab import EXPERIMENTS, files
from gan_jax.lab.runs import directory
from tests.helpers import assert_same, few
from tests.lab.helpers import call, tiny

_TINY = ["gan", "--data", "ring", *tiny("gan", points=True), "--log-every", 1, "--save-every", 2]


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all that commands write into its directory."""
    path = tmp_path_factory.mktemp("runs") / "a"
    with contextlib.chdir(path.parent):
        assert call("run", *_TINY, "--steps", 4, "--track", "sliced", "--track-every", 2, "--out", path) == 0
        assert call("evaluate", path, "--n", 100, "--metrics", "sliced") == 0
    return path


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "a"))


def _edit(path: Path, **changes: Any) -> None:
    """Other values in the config.json of a run: of an option, or of what stands beside the options."""
    record = json.loads((path / "config.json").read_text())
    for name, value in changes.items():
        (record["options"] if name in record["options"] else record)[name] = value
    (path / "config.json").write_text(json.dumps(record))


def _tree(path: Path) -> dict[str, bytes | None]:
    return {
        str(file.relative_to(path)): file.read_bytes() if file.is_file() else None
        for file in path.rglob("*")
        if file.name != files.LOCK
    }


def _refused(words: str, capsys: pytest.CaptureFixture[str], *command: object) -> None:
    capsys.readouterr()
    assert call(*command) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_what_commands_write_is_what_overwriting_removes(run: Path) -> None:
    written = {path.name for path in run.iterdir()} - {files.LOCK, "config.json"}
    assert written <= {*directory._WRITTEN}
    assert written >= {"checkpoints", "checkpoints-best", "best.json", "metrics.jsonl", "samples", "evaluation.json"}


@pytest.mark.parametrize("where", ["here", "a link", "named"])
def test_a_run_is_replaced_where_it_lies_and_nothing_else_is(where: str, copy: Path) -> None:
    (copy / "thesis.txt").write_text("all of it")
    (copy / "samples" / "0000099.png").write_text("of the old run")
    os.symlink(copy, "link")
    place = {"here": copy, "a link": Path.cwd(), "named": Path.cwd()}[where]
    out = {"here": ".", "a link": "link", "named": copy}[where]
    inode = copy.stat().st_ino
    with contextlib.chdir(place):
        assert call("run", *_TINY, "--seed", 3, "--steps", 2, "--out", out) == 2
        assert (copy / "best.json").exists()
        assert call("run", *_TINY, "--seed", 3, "--steps", 2, "--out", out, "--overwrite") == 0
        assert directory.load(Path(out), EXPERIMENTS).job.options["seed"] == 3
    assert copy.stat().st_ino == inode
    assert (copy / "thesis.txt").read_text() == "all of it"
    assert not [name for name in ("best.json", "checkpoints-best", "evaluation.json") if (copy / name).exists()]
    assert [path.name for path in (copy / "samples").iterdir()] == ["0000002.png"]
    assert len((copy / "metrics.jsonl").read_text().splitlines()) == 2
    assert not list(copy.glob(".replaced*"))


def test_overwriting_names_what_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _refused("--overwrite replaces the run in --out: type both", capsys, "run", *_TINY, "--overwrite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ['{"model_type": "bert"}', "[1]", "{", "\udcff", ""])
def test_the_configuration_of_another_program_is_not_a_run(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("model").mkdir()
    Path("model/config.json").write_bytes(content.encode(errors="surrogateescape"))
    Path("model/samples").mkdir()
    before = _tree(tmp_path)
    _refused("model is not a run", capsys, "run", *_TINY, "--steps", 1, "--out", "model", "--overwrite")
    assert _tree(tmp_path) == before


def test_a_replacement_that_is_killed_leaves_no_run_that_goes_on_and_is_made_again(copy: Path) -> None:
    def kill(*arguments: object, **options: object) -> None:
        if not (copy / "checkpoints").exists():
            raise KeyboardInterrupt

    again = ["run", *_TINY, "--steps", 4, "--out", "a", "--overwrite"]
    for where, name in ((shutil, "rmtree"), (files, "write_text")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(where, name, kill)
            assert call(*again) == 130
        assert call("sample", "a", "--out", "a.png") == 2
    assert call(*again) == 0
    assert call("sample", "a", "--out", "a.png") == 0
    assert not list(copy.glob(".replaced*"))


def test_of_two_starts_in_one_directory_the_later_one_changes_nothing(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock, theirs = files.lock, _tree(copy)

    @contextlib.contextmanager
    def slow(path: Path) -> Iterator[None]:
        if not (path / "config.json").exists():
            shutil.copytree(copy, path, dirs_exist_ok=True)
        with lock(path):
            yield

    monkeypatch.setattr(files, "lock", slow)
    _refused("b exists already", capsys, "run", *_TINY, "--steps", 1, "--out", "b")
    assert _tree(tmp_path / "b") == theirs


def test_a_number_that_another_start_takes_is_not_used_twice(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = files.next_free

    def next_free(parent: Path) -> Path:
        path = free(parent)
        if path.name == "001":
            shutil.copytree(copy, path)
        return path

    monkeypatch.setattr(files, "next_free", next_free)
    assert call("run", *_TINY, "--steps", 1) == 0
    assert _tree(Path("runs/gan/001")) == _tree(copy)
    assert call("sample", "runs/gan/002", "--out", "a.png") == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lr": 0.001}, "was trained with lr 0.0002"),
        pytest.param({"seed": 1}, "was trained with seed 0", marks=pytest.mark.slow),
        pytest.param({"steps": 9}, "was trained with steps 4", marks=pytest.mark.slow),
        pytest.param({"ema": 0.5}, "was trained with ema 0.999", marks=pytest.mark.slow),
        ({"loss": "hinge"}, "was trained with loss None"),
        pytest.param({"dropout": 0.0}, "was trained with dropout 0.4", marks=pytest.mark.slow),
        pytest.param({"d_activation": "relu"}, "was trained with d_activation leaky_relu", marks=pytest.mark.slow),
        ({"num_classes": 3}, "was trained with num_classes 8"),
        ({"width": 5}, "belongs to another configuration"),
        pytest.param({"shape": [3]}, "belongs to another configuration", marks=pytest.mark.slow),
    ],
)
def test_a_configuration_that_was_edited_is_not_that_of_its_checkpoints(
    changes: dict[str, Any], words: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _edit(copy, **changes)
    _refused(words, capsys, "sample", "a", "--out", "a.png")
    _refused(words, capsys, "sample", "a", "--best", "--out", "a.png")
    if not {"shape", "num_classes"} & changes.keys():
        _refused(words, capsys, "run", "gan", "--resume", "a", "--steps", 6)
    with pytest.raises(InputError, match=words):
        gan_jax.load("a")


@pytest.mark.slow
def test_an_experiment_of_another_name_with_the_same_networks_is_not_that_of_its_checkpoints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed = ["--data", "ring", *tiny("wgan", points=True), "--steps", 1]
    assert call("run", "wgan", *typed, "--out", "a") == 0
    _edit(Path("a"), experiment="wgan_4x512")
    _refused("was trained with experiment wgan", capsys, "run", "wgan_4x512", "--resume", "a", "--steps", 2)


def test_what_decides_nothing_may_be_edited(copy: Path) -> None:
    _edit(copy, save_every=1, sample_every=3, log_every=2, track=None, invert=True, stream=True)
    assert call("run", "gan", "--resume", "a", "--steps", 6) == 0
    assert [path.name for path in sorted((copy / "checkpoints").glob("*.json"))] == ["5.json", "6.json"]


@pytest.mark.parametrize("folder", few(["checkpoints", "checkpoints-best"], "checkpoints-best"))
def test_a_checkpoint_of_another_run_is_refused(folder: str, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_TINY, "--steps", 4, "--track", "sliced", "--track-every", 2, "--seed", 5]
    assert call("run", *typed, "--out", "other") == 0
    shutil.rmtree(copy / folder)
    shutil.copytree(Path("other", folder), copy / folder)
    best = ["--best"] if folder == "checkpoints-best" else []
    _refused(f"a/{folder}/", capsys, "sample", "a", *best, "--out", "a.png")
    _refused("was trained with seed 5", capsys, "evaluate", "a", *best, "--n", 100)


def test_a_checkpoint_under_another_number_is_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("4", "4.json"):
        (copy / "checkpoints" / name).rename(copy / "checkpoints" / name.replace("4", "40"))
    _refused("checkpoints/40 holds step 4", capsys, "sample", "a", "--out", "a.png")


def test_checkpoints_that_say_nothing_of_their_run_are_read(copy: Path) -> None:
    loaded = directory.load(copy, EXPERIMENTS)
    state = loaded.restore()
    shutil.rmtree(copy / "checkpoints")
    checkpoint.save(copy / "checkpoints", 4, state, notes={"window": {}})
    assert_same(loaded.restore(), state)


def test_a_run_that_was_moved_while_it_trained_is_not_split_in_two(copy: Path) -> None:
    loaded = directory.load(copy, EXPERIMENTS)
    state = loaded.restore()
    copy.rename("elsewhere")
    with pytest.raises(InputError, match="a was moved or deleted while it trained"):
        loaded.save(state, {})
    assert not copy.exists()


def test_moving_a_run_while_it_trains_ends_it_with_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = checkpoint.save

    def save_and_be_moved(path: Path, step: int, *arguments: Any, **options: Any) -> None:
        save(path, step, *arguments, **options)
        if step == 2:
            Path("b").rename("elsewhere")

    monkeypatch.setattr(checkpoint, "save", save_and_be_moved)
    assert call("run", *_TINY, "--steps", 6, "--out", "b") == 2
    assert "run: b was moved or deleted while it trained: put it back" in capsys.readouterr().err
    assert not Path("b").exists()
    monkeypatch.setattr(checkpoint, "save", save)
    assert call("run", "gan", "--resume", "elsewhere") == 0


def test_a_run_is_not_finished_by_a_manifest_alone(copy: Path) -> None:
    loaded = directory.load(copy, EXPERIMENTS)
    assert loaded.finished
    shutil.rmtree(copy / "checkpoints" / "4")
    assert not loaded.finished


@pytest.mark.parametrize("spelling", ["out", "working directory"])
def test_a_name_that_checkpoints_cant_have_is_refused_before_anything_is_done(
    spelling: str, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Path(os.fsdecode(b"caf\xe9"))
    shutil.copytree(copy, odd)
    path = odd / "b"
    if spelling == "working directory":
        monkeypatch.chdir(odd)
        odd, path = Path("../caf\udce9"), Path("b")
    sweep = [*_TINY[:7], "--steps", 2, "--lr", "1e-3,1e-4", "--score-samples", 100]
    before = _tree(tmp_path)
    for command in (
        ["run", *_TINY, "--steps", 1, "--out", path],
        ["run", *_TINY, "--steps", 1, "--out", path, "--resume", "auto"],
        ["run", *_TINY, "--steps", 1, "--out", odd, "--overwrite"],
        ["run", "gan", "--resume", odd, "--steps", 6],
        ["sample", odd, "--out", tmp_path / "a.png"],
        ["evaluate", odd],
        ["sweep", *sweep, "--out", path],
        ["sweep", "gan", "--resume", odd],
        ["study", *sweep, "--trials", 2, "--storage", path],
    ):
        _refused("is not UTF-8, as checkpoints need it", capsys, *command)
    if spelling == "working directory":
        for command in (["run", *_TINY, "--steps", 1], ["sweep", *sweep]):
            _refused("is not UTF-8, as checkpoints need it", capsys, *command)
    assert _tree(tmp_path) == before
