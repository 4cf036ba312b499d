import contextlib
import json
import multiprocessing
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from gan_jax.data import finding, load, prepared, preparing
from gan_jax.lab import EXPERIMENTS, files, main
from gan_jax.lab.runs import chunks, directory, logs, streaming
from tests.data.helpers import blobs, save
from tests.data.test_preparing import contents
from tests.helpers import assert_same
from tests.lab.helpers import call, tiny


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for i in range(60):
        save(tmp_path / "pets" / ("cat", "dog")[i % 2] / f"{i}.png", blobs(1, 6 + i % 3, 7, seed=i)[0])
    (tmp_path / "pets/cat/x.png").write_bytes(b"no image")
    return tmp_path / "pets"


def test_a_folder_is_prepared_and_trained_on(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("prepare", pets, "--size", "8x4", "--test-share", 0.1, "--out", "data/pets") == 0
    out = capsys.readouterr().out
    assert "not readable and left out: cat/x.png\n" in out
    assert "54 training and 6 test images of 8 x 4 x 3, classes cat, dog, 1 left out\n" in out
    assert "next: python -m experiments.run dcgan --data prepared:data/pets\n" in out
    typed = ["cgan", *tiny("cgan"), "--steps", 2, "--data", "prepared:data/pets"]
    assert call("run", *typed, "--out", "resident") == 0
    assert call("run", *typed, "--out", "streamed", "--stream") == 0
    a, b = (
        logs.read(Path(of) / "metrics.jsonl")[2] | {"steps_per_s": 0, "seconds": 0} for of in ("resident", "streamed")
    )
    assert a == b
    record = json.loads(Path("streamed/config.json").read_text())["data"]
    assert record["fingerprint"] == load("prepared:data/pets").fingerprint
    assert record["classes"] == ["cat", "dog"]


def test_the_same_command_again_changes_nothing(pets: Path) -> None:
    command = ["prepare", pets, "--size", 8, "--out", "data"]
    assert call(*command) == 0
    before = contents(Path("data"))
    assert call(*command, "--workers", 3) == 0
    assert contents(Path("data")) == before


@pytest.mark.parametrize(("arguments", "words"), [
    (["--size", "0"], "--size: expected a whole number, at least 1"),
    (["--size", "8x"], "--size: expected a whole number"),
    (["--size", "8", "--channels", "2"], "--channels: expected one of 1, 3, got '2'"),
    (["--size", "8", "--crop", "left"], "--crop: expected one of center, none"),
    (["--size", "8", "--test-share", "1"], r"--test-share: expected a number in \[0, 1\)"),
    (["--size", "8", "--workers", "0"], "--workers: expected a whole number, at least 1"),
    ([], "--size"),
    (["--size", "8", "--strict"], "cat/x.png is not a readable image"),
])  # fmt: skip
def test_wrong_options(pets: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert call("prepare", pets, *arguments, "--out", "data") == 2
    error = capsys.readouterr().err
    assert re.search(words, error)
    assert error.count("\n") == 1


def test_bad_sources_and_directories(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    Path("others").mkdir()
    Path("others/mine").touch()
    Path("file").write_text("mine")
    Path("broken.zip").write_bytes(b"PK no archive")
    for source, out, words in (
        ("empty", "data", "there are no images here"),
        ("nowhere", "data", "there is no nowhere: give a folder"),
        ("broken.zip", "data", "the archive can't be read"),
        (pets, "file", "file can't be written"),
        (pets, "/proc/data", "/proc/data can't be written"),
        (pets, "pets/data", "--out pets/data lies inside"),
        (pets, "others", "others holds other files already (mine): choose a different --out"),
    ):
        assert call("prepare", source, "--size", 8, "--out", out) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert not Path("data").exists()
    assert Path("file").read_text() == "mine"


def test_two_at_a_time_into_one_directory(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data").mkdir()
    with files.lock(Path("data")):
        assert call("prepare", pets, "--size", 8, "--out", "data") == 2
    assert "data is in use by another process: wait for it" in capsys.readouterr().err
    assert os.listdir("data") == [files.LOCK]


def test_stopped_by_a_signal_it_says_how_to_go_on(
    pets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = preparing._Writer.write

    def interrupted(*args: object) -> None:
        write(*args)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGTERM)

    command = ["prepare", pets, "--size", 8, "--out", "data"]
    monkeypatch.setattr(preparing._Writer, "write", interrupted)
    assert call(*command) == 143
    out = capsys.readouterr().out
    assert f"stopped after 32 of 61 images; continue with: python -m experiments.prepare {pets} --size 8" in out
    assert call("run", "gan", "--data", "prepared:data") == 2
    assert "the preparation is not finished: type the same command again" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(pets.parent)
    assert call(*command) == 0
    assert call(*command[:-1], "whole") == 0
    assert contents(Path("data")) == contents(Path("whole"))


def _prepare(source: str) -> None:
    with open("output", "w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        preparing._SECONDS_BETWEEN_NOTES = 0.0
        main(EXPERIMENTS, ["prepare", source, "--size", "8", "--out", "killed"], program="gan-jax {}")


def test_kills_change_no_byte(tmp_path: Path) -> None:
    for i in range(400):
        save(tmp_path / "in" / f"{i}.png", blobs(1, 5, 5, seed=i)[0])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gan_jax.lab.commands.prepare"])
    for done in (30, 150, 300):
        process = context.Process(target=_prepare, args=(str(tmp_path / "in"),))
        process.start()
        while process.is_alive() and not _done(Path("killed")) > done:
            time.sleep(0.001)
        process.kill()
        process.join()
    Path("killed/..unfinished.json.partial").touch()  # As a kill in the middle of a note leaves it, rarely.
    assert call("prepare", "in", "--size", 8, "--out", "killed") == 0
    assert call("prepare", "in", "--size", 8, "--out", "whole") == 0
    assert contents(Path("killed")) == contents(Path("whole"))


def _done(directory: Path) -> int:
    try:
        return json.loads((directory / prepared.UNFINISHED).read_text())["done"]
    except FileNotFoundError:
        return 1000 if (directory / prepared.RECORD).exists() else 0


@pytest.mark.slow
def test_data_that_changes_while_a_run_goes_on(
    pets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("prepare", pets, "--size", 8, "--out", "data") == 0
    monkeypatch.setattr(chunks, "_STREAMED_BYTES", 1)  # A chunk per step.
    images, whole = Path("data/train-images.npy"), Path("data/train-images.npy").read_bytes()
    typed = ["run", "gan", *tiny("gan"), "--steps", 8, "--data", "prepared:data", "--stream"]
    assert call(*typed, "--out", "undisturbed") == 0
    chunk = streaming.Stream.chunk

    def cutting(stream: streaming.Stream, start: int) -> object:
        if start == 4:
            os.truncate(images, 1000)
        return chunk(stream, start)

    with monkeypatch.context() as patch:
        patch.setattr(streaming.Stream, "chunk", cutting)
        assert call(*typed, "--out", "run") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"run: {images.absolute()} was changed while it was read: put it back; step ")
    assert error.endswith("is saved, then continue with: python -m experiments.run gan --resume run")
    assert call("run", "gan", "--resume", "run") == 2
    assert "train-images.npy is truncated" in capsys.readouterr().err
    images.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert call("run", "gan", "--resume", "run") == 2
    assert "train-images.npy was changed since it was prepared" in capsys.readouterr().err
    images.write_bytes(whole)
    assert call("run", "gan", "--resume", "run") == 0
    a, b = (directory.load(Path(of), EXPERIMENTS) for of in ("undisturbed", "run"))
    assert_same(a.restore(), b.restore())


def test_other_data_in_its_place_is_noticed(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("prepare", pets, "--size", 8, "--out", "data") == 0
    typed = ["run", "gan", *tiny("gan"), "--data", "prepared:data", "--out", "run"]
    assert call(*typed, "--steps", 1) == 0
    Path("data").rename("old")
    save(pets / "cat/0.png", blobs(1, 9, 9, seed=99)[0])
    assert call("prepare", pets, "--size", 8, "--out", "data") == 0
    assert call("run", "gan", "--resume", "run", "--steps", 2) == 2
    assert (
        "prepared:data has changed since this run was started, its examples are other ones" in capsys.readouterr().err
    )


def test_metrics_of_prepared_data_compare_with_its_tests(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gan_jax.data import dataset
    from gan_jax.lab.measuring import reference

    assert call("prepare", pets, "--size", 8, "--test-share", 0.4, "--out", "data") == 0
    found = reference.load("prepared:data", conditional=False)
    test = load("prepared:data", "test")
    order = np.random.default_rng(0).permutation(len(test))
    assert found.held_out
    np.testing.assert_array_equal(found.test.x, test.x[order])
    monkeypatch.setattr(dataset, "SMALL_BYTES", 5 * 8 * 8 * 3)
    found = reference.load("prepared:data", conditional=False)
    np.testing.assert_array_equal(found.test.x, test.x[order[:5]])
    assert found.test.labels is not None and len(found.test.labels) == 5
    assert not isinstance(found.test.x, np.memmap)
    assert finding.find("prepared:data").classes == ("cat", "dog")
