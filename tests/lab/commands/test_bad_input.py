"""Whatever is typed, and whatever lies in the files: it works, or it is one sentence and exit code 2."""

import contextlib
import dataclasses
import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from gan_jax import data
from gan_jax.data import Dataset, sources
from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS, cli, data_record, experiment
from gan_jax.lab.commands import run
from gan_jax.lab.runs import directory, loop
from tests.lab.helpers import call, changed

_settings = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}
many = settings(max_examples=1000, **_settings)
some = settings(max_examples=150, **_settings)

# No NUL, which no command line can hold, and of surrogates those that stand for bytes which are no UTF-8.
_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.just("\udcff"), max_size=12)
_words = (
    _text
    | st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(["0", "1", "4", "-1", "1e-4", "0.5", "nan", "inf", "yes", "no", "none", "float32", "ring"])
    | st.sampled_from(["1_0", " 3 ", "٣", "9" * 5000, "--", "-", "--resume", "auto", "--help-me", "@file"])
)
_schedules = st.tuples(
    st.sampled_from(["linear", "cosine", "steps", "r1", "none+r2", "r1:cosine", ""]),
    st.lists(st.floats().map(str) | st.integers(-2, 2).map(str) | _text, max_size=4),
    st.sampled_from(":,+"),
).map(lambda parts: f"{parts[0]}:{parts[2].join(parts[1])}")
_flags = st.sampled_from(
    sorted({f"--{name.replace('_', '-')}" for one in EXPERIMENTS.values() for name in one.options})
)
_typed = st.lists(st.tuples(_flags | _text, _words | _schedules), max_size=4).map(
    lambda pairs: [word for pair in pairs for word in pair]
)


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


_LAB = cli.Lab(EXPERIMENTS, "python -m experiments.{}")


def _one_sentence(error: io.StringIO) -> None:
    text = error.getvalue()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert "Traceback" not in text


@pytest.mark.slow
@settings(max_examples=400, **_settings)
@given(name=st.sampled_from(sorted(EXPERIMENTS)), typed=_typed)
def test_what_is_typed_parses_or_is_one_sentence(name: str, typed: list[str]) -> None:
    with contextlib.redirect_stderr(io.StringIO()) as error, contextlib.redirect_stdout(io.StringIO()):
        code = 0
        try:
            run.parser(_LAB, name).parse_args(typed)
        except SystemExit as stop:
            code = stop.code
    assert code in (0, 2)
    if code == 2:
        _one_sentence(error)


_values: dict[str, list[Any]] = {
    "width": [4, 5, 8, 65536],
    "depth": [1, 4, 100],
    "latent": [1, 65536],
    "batch_size": [1, 65536],
    "data": ["ring", "points", "images", "odd", "labels", "words", "line", "mnist:", "\udcff"],
    "seed": [0, 2**32 - 1, 2**32],
    "conditional": ["yes", "no"],
    "loss": ["recipe", "hinge", "acgan"],
    "penalty": ["recipe", "none", "r1:1", "wgan_gp:10+r2:cosine:1:0", "r1:3e38+dragan:steps:0,1e-45"],
    "lazy": [1, 4, 10_000],
    "accumulate": [1, 2, 65536],
    "dtype": ["bfloat16"],
    "clip": [1e-45, 1e38],
    "lr": ["cosine:1e-3:0", "steps:1,1e-9", "linear:0:9:0.5"],
    "ema": ["none", 0.0, "linear:0:0.999:1e-9"],
    "steps": [1, 2**31 - 1],
    "out": ["a", "a/b", "npz:x", "a" * 300, "\udcff", "/dev/null/a", ""],
    "resume": ["auto", "a", "nowhere"],
}


@pytest.mark.slow
@some
@given(chosen=st.data(), name=st.sampled_from(sorted(EXPERIMENTS)))
def test_what_is_typed_starts_a_run_or_is_one_sentence(chosen: st.DataObject, name: str) -> None:
    known = [option for option in _values if option in (*EXPERIMENTS[name].defaults, "out", "resume")]
    options = chosen.draw(st.lists(st.sampled_from(known), max_size=3, unique=True))
    values = {"data": "images"} | {option: chosen.draw(st.sampled_from(_values[option])) for option in options}
    np.savez("points.npz", images=np.ones((3, 5), np.float32))
    np.savez("line.npz", images=np.ones((3, 1), np.float32))
    np.savez("images.npz", images=np.ones((3, 8, 8), np.uint8), labels=[0, 1, 1])
    np.savez("odd.npz", images=np.ones((3, 3, 1, 2), np.uint8))
    np.savez("words.npz", images=np.ones((2, 8, 8), np.uint8), labels=["a", "\udcff"])
    np.savez("labels.npz", images=np.ones((2, 8, 8), np.uint8), labels=[0, 2**31 - 2])
    if Path(f"{values['data']}.npz").exists():
        values["data"] = f"npz:{values['data']}.npz"
    typed = [word for option, value in values.items() for word in (f"--{option.replace('_', '-')}", value)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train", lambda *arguments, **options: 0)
        with contextlib.redirect_stderr(io.StringIO()) as error, contextlib.redirect_stdout(io.StringIO()):
            code = call("run", name, *typed)
    assert code in (0, 2)
    if code == 2:
        _one_sentence(error)


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | _text
    | st.sampled_from(["../../a", "/a", "gan", "npz:\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=4,
)
_options = ["data", "steps", "seed", "path", "save_every", "lr", "width", "ema", "dtype", "saturating", "out"]
_options += ["loss", "penalty", "lazy", "accumulate", "track"]
_paths = [("experiment",), ("options",), ("shape",), ("num_classes",), ("path",), ("shape", 0), ("shape", 2)]
_paths += [("options", name) for name in _options]
_paths += [("data",), ("data", "classes", 1), *(("data", name) for name in ("path", "count", "fingerprint", "classes"))]


def _record() -> dict[str, Any]:
    return {
        "experiment": "gan",
        "options": experiment.config(EXPERIMENTS, "gan", {"data": "npz:nowhere.npz"}).record,
        "shape": [4, 4, 1],
        "num_classes": 3,
        "data": {"path": "/nowhere.npz", "count": 7, "fingerprint": "0123456789abcdef", "classes": ["a", "b", "c"]},
    }


@many
@given(changes=st.lists(st.tuples(st.sampled_from(_paths), st.just("gone") | _json), max_size=2))
def test_any_record_is_a_run_in_its_directory_or_an_input_error(
    tmp_path: Path, changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    record = changed(_record(), changes)
    (tmp_path / "config.json").write_text(json.dumps(record))
    with contextlib.suppress(InputError):
        loaded = directory.load(tmp_path, EXPERIMENTS)
        assert loaded.checkpoints == tmp_path / "checkpoints"
        assert loaded.job.config.name in EXPERIMENTS
        loaded.job.gan()
        assert len(loaded.job.classes) == loaded.job.num_classes
        data.load(loaded.job.spec)


@many
@given(
    patches=st.lists(st.tuples(st.integers(0, 800), st.binary(min_size=1, max_size=4)), max_size=3),
    cut=st.integers(0, 1000),
)
@example(patches=[(0, b"[" * 100_000)], cut=100_000)
def test_any_config_file_is_a_run_or_an_input_error(tmp_path: Path, patches: list[tuple[int, bytes]], cut: int) -> None:
    text = bytearray(json.dumps(_record()).encode())
    for position, patch in patches:
        text[position : position + len(patch)] = patch
    (tmp_path / "config.json").write_bytes(text[:cut])
    with contextlib.suppress(InputError):
        directory.load(tmp_path, EXPERIMENTS)


_sides = st.sampled_from([1, 2, 3, 7, 8, 16, 2**31 - 1])


@pytest.mark.slow
@some
@given(
    name=st.sampled_from(sorted(EXPERIMENTS)),
    shape=st.lists(_sides, min_size=1, max_size=1) | st.lists(_sides, min_size=3, max_size=3),
    num_classes=st.sampled_from([0, 1, 3, 2**31 - 1]),
)
def test_networks_for_any_shape_are_built_or_refused(
    tmp_path: Path, name: str, shape: list[int], num_classes: int
) -> None:
    width = {"width": 4} if "width" in EXPERIMENTS[name].options else {}
    record = _record() | {"experiment": name, "options": experiment.config(EXPERIMENTS, name, width).record}
    record |= {"shape": shape, "num_classes": num_classes, "data": record["data"] | {"classes": None}}
    (tmp_path / "config.json").write_text(json.dumps(record))
    with contextlib.suppress(InputError):
        job = directory.load(tmp_path, EXPERIMENTS).job
        job.abstract_state()


def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy and Pillow warn about some of what they are shown.
        yield


_quietly = contextlib.contextmanager(_quiet)


@given(
    members=st.dictionaries(
        st.sampled_from(["images", "x", "labels", "test_images", "test_labels", "other", "images.npy", "../images"]),
        arrays.arrays(
            arrays.scalar_dtypes() | st.sampled_from([np.dtype("uint8"), np.dtype("float32"), np.dtype("i8,f4")]),
            arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
        ),
        max_size=4,
    ),
    split=st.sampled_from(["train", "test"]),
)
@some
def test_any_arrays_are_a_dataset_or_an_input_error(tmp_path: Path, members: dict[str, Any], split: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name, array in members.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            archive.writestr(f"{name}.npy", buffer.getvalue())
    with contextlib.suppress(InputError), _quietly():
        assert isinstance(data.load(f"npz:{tmp_path / 'a.npz'}", split), Dataset)


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


def test_pickles_are_not_opened(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("a.npz", images=np.array([_Bomb()], object), allow_pickle=True)
    assert call("run", "gan", "--data", "npz:a.npz") == 2
    assert "more than plain arrays" in capsys.readouterr().err
    assert not Path("exploded").exists()


def _encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, format=kind)
    return buffer.getvalue()


_IMAGES = {kind: _encoded(kind) for kind in ("png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm")}


@given(
    kind=st.sampled_from(sorted(_IMAGES)),
    patches=st.lists(st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=4)), max_size=3),
    cut=st.integers(0, 400),
    neighbour=st.booleans(),
)
@many
def test_any_image_is_a_dataset_or_an_input_error(
    tmp_path: Path, kind: str, patches: list[tuple[int, bytes]], cut: int, neighbour: bool
) -> None:
    content = bytearray(_IMAGES[kind])
    for position, patch in patches:
        content[position : position + len(patch)] = patch
    folder = tmp_path / "images"
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    (folder / f"a.{kind}").write_bytes(content[:cut])
    if neighbour:
        (folder / "b.png").write_bytes(_IMAGES["png"])
    with contextlib.suppress(InputError), _quietly():
        assert isinstance(data.load(f"folder:{folder}"), Dataset)


def _names_data(spec: str) -> bool:
    """Whether it begins with a name of data that is there; Hypothesis also draws words that our modules contain."""
    return spec.partition(":")[0] in {*sources.NAMED, "robots", "shapes"}


@given(
    spec=st.tuples(st.sampled_from(["", "idx:", "npz:", "folder:", "IDX:", "~:"]), _text | st.just("\0"))
    .map("".join)
    .filter(lambda spec: not _names_data(spec))
)
@example(spec="npz:" + "a" * 5000)
@example(spec="idx:" + "a" * 5000)
@example(spec="folder:a\0b")
@example(spec="npz:~nobody/a")
@example(spec="tfds:huggingface:a/b")
@example(spec="tfds:kaggle:a")
@example(spec="tfds:mnist/../../a")
@example(spec="tfds:../a")
@some
def test_any_spec_is_an_input_error(spec: str) -> None:
    with pytest.raises(InputError) as error:
        data.load(spec)
    assert "\n" not in str(error.value).replace(spec, "")


def test_a_record_can_not_lead_out_of_the_directory_of_its_run(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    outside.mkdir()
    record = _record() | {"path": str(outside), "out": str(outside), "checkpoints": "../outside"}
    record["options"] |= {"data": "ring", "steps": 2, "log_every": 1}
    record |= {"shape": [2], "num_classes": 8, "data": dataclasses.asdict(data_record.of(data.load("ring"), "ring"))}
    inside.mkdir()
    (inside / "config.json").write_text(json.dumps(record))
    assert call("run", "gan", "--resume", inside) == 0
    assert call("sample", inside, "--out", inside / "a.png") == 0
    assert sorted(tmp_path.iterdir()) == [inside, outside]
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "typed",
    [
        ["run", "gan_deep", "--batch-size", 1],
        ["run", "completion", "--batch-size", 4, "--accumulate", 4],
        ["sweep", "cgan_embedding", "--batch-size", 1, "--lr", "1e-4,1e-3"],
    ],
)
def test_batches_that_batch_norm_makes_one_of_are_refused_before_anything_is_written(
    typed: list[object], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*map(str, typed), "--steps", 2, "--out", "a") == 2
    assert "use a batch size of at least 2" in capsys.readouterr().err
    assert not Path("a").exists()
