import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_jax import data
from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS, data_record
from gan_jax.lab.runs import directory
from tests.helpers import few
from tests.lab.helpers import call, tiny

_PIXELS = np.random.default_rng(0).integers(0, 256, (30, 8, 8)).astype(np.uint8)
_LABELS = np.arange(30) % 3 + 1


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _save(images: np.ndarray = _PIXELS, labels: Any = _LABELS, file: str = "x.npz") -> None:
    np.savez(file, images=images, labels=labels)


def _run(*arguments: object) -> int:
    return call("run", "gan", *arguments)


_SHORT = ["--steps", 2, "--log-every", 2, *tiny("gan")]

_OTHER: dict[str, tuple[np.ndarray, Any, str]] = {
    "fewer": (_PIXELS[:29], _LABELS[:29], "it had 30 examples and has 29"),
    "other pixels": (_PIXELS ^ 1, _LABELS, "its examples are other ones, or in another order"),
    "another order": (_PIXELS[::-1], _LABELS, "its examples are other ones, or in another order"),
    "other labels": (_PIXELS, _LABELS[::-1], "its examples are other ones, or in another order"),
    "other names of as many classes": (_PIXELS, _LABELS + 1, "its classes have other names"),
    "more classes": (_PIXELS, np.arange(30) % 4, "its examples have another shape, or other classes or tags"),
    "another size": (_PIXELS[:, :4], _LABELS, "its examples have another shape, or other classes or tags"),
}


@pytest.mark.parametrize("case", few(_OTHER, "another order"))
def test_data_replaced_under_a_run_is_noticed(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels, words = _OTHER[case]
    _save()
    assert _run("--data", "npz:x.npz", *_SHORT, "--out", "n") == 0
    _save(images, labels)
    before = sorted(Path("n").rglob("*"))
    for command in (
        ["run", "gan", "--resume", "n", "--steps", 4],
        ["run", "gan", "--data", "npz:x.npz", *_SHORT, "--steps", 4, "--out", "n", "--resume", "auto"],
        ["evaluate", "n", "--n", 20],
    ):
        capsys.readouterr()
        assert call(*command) == 2
        error = capsys.readouterr().err
        assert f"npz:x.npz has changed since this run was started, {words}: put it back, or start a new run" in error
        assert error.count("\n") == 1
    assert sorted(Path("n").rglob("*")) == before
    _save()
    assert call("run", "gan", "--resume", "n", "--steps", 4) == 0


def test_a_run_finds_its_data_from_another_directory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _save()
    assert _run("--data", "npz:x.npz", *_SHORT, "--out", "n") == 0
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    _save(_PIXELS ^ 1)  # Of the same name: not what the run means.
    assert _run("--resume", "../n", "--steps", 4) == 0
    # What is typed now is meant from here.
    capsys.readouterr()
    assert _run("--data", "npz:x.npz", *_SHORT, "--steps", 6, "--out", "../n", "--resume", "auto") == 2
    assert "has changed since this run was started" in capsys.readouterr().err
    _save()
    assert _run("--data", "npz:x.npz", *_SHORT, "--steps", 6, "--out", "../n", "--resume", "auto") == 0


def test_a_tree_that_was_moved_keeps_working(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("here/data").mkdir(parents=True)
    monkeypatch.chdir("here")
    _save(file="data/x.npz")
    assert _run("--data", "npz:data/x.npz", *_SHORT, "--out", "n") == 0
    monkeypatch.chdir("..")
    shutil.move("here", "there")
    capsys.readouterr()
    assert _run("--resume", "there/n", "--steps", 4) == 2
    error = capsys.readouterr().err
    gone = Path("here/data/x.npz").absolute()
    assert f"the data of this run, npz:data/x.npz, is gone from {gone}: put it back there, or start from" in error
    assert error.count("\n") == 1
    monkeypatch.chdir("there")
    assert _run("--resume", "n", "--steps", 4) == 0


def test_what_is_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    _save()
    assert call("run", "cgan", "--data", "npz:x.npz", *_SHORT, "--out", "n") == 0
    assert capsys.readouterr().out.count("npz:x.npz: classes 0 of 0..3 have no examples\n") == 1
    config = json.loads(Path("n/config.json").read_text())
    assert config["options"]["data"] == "npz:x.npz"
    assert config["num_classes"] == 3
    fingerprint = data.load("npz:x.npz").fingerprint
    assert config["data"] == {
        "path": str(Path("x.npz").absolute()),
        "count": 30,
        "fingerprint": fingerprint,
        "classes": ["1", "2", "3"],
    }
    job = directory.load(Path("n"), EXPERIMENTS).job
    assert job.classes == ("1", "2", "3")
    assert job.spec == f"npz:{Path('x.npz').absolute()}"


def test_of_data_with_a_name_alone_there_is_no_path_and_numbers_are_no_names() -> None:
    ring = data.load("ring")
    record = data_record.of(ring, "ring")
    assert record == data_record.DataRecord(None, 100_000, ring.fingerprint, None)
    assert record.spec("ring") == "ring"


def test_a_last_bit_of_what_is_computed_does_not_matter() -> None:
    ring = data.load("ring")
    record = data_record.of(ring, "ring")
    other = dataclasses.replace(ring, x=np.nextafter(ring.x, np.float32(9)))
    assert record.difference(other, "ring") is None
    assert record.difference(dataclasses.replace(ring, x=ring.x[1:], labels=ring.labels[1:]), "ring") is not None
    assert record.difference(other, "npz:ring.npz") == "its examples are other ones, or in another order"


_RECORD: dict[str, Any] = {"path": "/a", "count": 3, "fingerprint": "f", "classes": ["a", "b"]}


def test_a_record_is_read_as_it_was_written() -> None:
    read = data_record.read(_RECORD, 2)
    assert read == data_record.DataRecord("/a", 3, "f", ("a", "b"))
    assert json.loads(json.dumps(dataclasses.asdict(read))) == _RECORD


@pytest.mark.parametrize(
    "change",
    [{"path": 3}, {"count": "3"}, {"count": True}, {"fingerprint": None}, {"classes": ["a"]}, {"classes": [1, 2]}],
)
def test_another_record_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        data_record.read(_RECORD | change, 2)
    with pytest.raises(KeyError):
        data_record.read({}, 2)


@pytest.mark.parametrize("place", ["gone", "a\0b", "a" * 5000])
def test_data_that_is_gone_is_an_input_error(place: str) -> None:
    record = data_record.DataRecord(f"/{place}", 3, "f", None)
    with pytest.raises(InputError, match="is gone from"):
        record.spec(f"npz:{place}")
