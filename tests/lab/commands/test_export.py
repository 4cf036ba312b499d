"""What is handed on, read by programs that have no gan_jax."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gan_jax
from gan_jax import GAN, recipes
from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS, Experiment
from gan_jax.lab.exports import directory as exports
from gan_jax.typing import Key, Rate, Shape
from tests.helpers import assert_same, few, read_png, untyped
from tests.lab.exports.helpers import made
from tests.lab.helpers import call


def _signs(rng: Key, n: int) -> jax.Array:
    return jax.random.randint(rng, (n, 3), -1, 2).astype(jnp.float32)


def _mine(shape: Shape, num_classes: int = 0, *, lr: Rate = 1e-3, width: int = 8) -> GAN:
    """A prior of somebody's own."""
    return recipes.gan(shape, num_classes, lr=lr, width=width, latent=3).replace(prior=_signs)


_TABLE = EXPERIMENTS | {"mine": Experiment(_mine, steps=2, batch_size=4)}


def _export(*arguments: object, table: Mapping[str, Experiment] = EXPERIMENTS) -> int:
    with untyped():  # To the type checker of tests a number of samples that is left open is no number.
        return call("export", *arguments, table=table)


_MLP = {"depth": "2", "latent": "5", "ema": "0.9"}
_ALL = ("gan", "cdcgan", "completion", "mine", "infogan", "translation", "tagger")
_QUICK = ("gan", "cdcgan", "completion", "mine")


def _exported(folder: Path, names: Sequence[str]) -> Path:
    """Runs, and NAME.export of each."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1)).astype(np.uint8)
    np.savez(folder / "tiny.npz", images=pixels, labels=np.array(["cat", "dog", "ox"])[np.arange(30) % 3])
    tiny = f"npz:{folder / 'tiny.npz'}"
    for name in names:
        spec = {"mine": "ring", "tagger": f"tags:{tiny}"}.get(name, tiny)
        made(folder / name, name, spec, _TABLE, **(_MLP if name == "gan" else {}))
        assert _export(folder / name, "--out", folder / f"{name}.export", table=_TABLE) == 0
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _exported(tmp_path_factory.mktemp("runs"), _QUICK)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _exported(tmp_path_factory.mktemp("others"), [name for name in _ALL if name not in _QUICK])


_ALONE = """
import importlib.util, sys
for name in ("gan_jax", "flax", "optax", "orbax", "safetensors"):
    sys.modules[name] = None
import numpy as np
folder, names = sys.argv[1], sys.argv[2:]
z, given = np.load(f"{folder}/z.npy"), np.load(f"{folder}/given.npz")
calls = {
    "gan": lambda load: load.sample(7, seed=3),
    "cdcgan": lambda load: np.concatenate([load.sample(7, seed=3), load.sample(4, label="dog")]),
    "completion": lambda load: load.sample(given["completion"], seed=3),
    "translation": lambda load: load.sample(given["translation"], seed=3),
    "tagger": lambda load: load.sample(given["tagger"], seed=3),
    "infogan": lambda load: load.sample({code: given[code] for code in ("c1", "c2", "c3")}, seed=3),
    "mine": lambda load: load.sample(z),
}
found = {}
for name in names:
    spec = importlib.util.spec_from_file_location("load", f"{folder}/{name}.export/load.py")
    load = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(load)
    found[name] = np.asarray(calls[name](load))
np.savez(f"{folder}/alone.npz", **found)
"""


def _given(name: str, n: int) -> Any:
    """Conditions of n samples, where a recipe asks for some."""
    rng = np.random.default_rng(1)
    shapes = {"completion": (n, 4, 8, 1), "translation": (n, 2, 2, 1), "tagger": (n, 8, 8, 1)}
    if name == "infogan":
        c2, c3 = rng.uniform(-1, 1, (2, n)).astype(np.float32)
        return {"c1": np.arange(n, dtype=np.int32) % 10, "c2": c2, "c3": c3}
    return rng.uniform(-1, 1, shapes[name]).astype(np.float32) if name in shapes else None


@pytest.mark.parametrize("where", few(["folder", "others"], "folder"))
def test_a_program_with_jax_alone_gets_the_same_samples(where: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(where)
    names = [name for name in _ALL if (folder / name).exists()]
    z = np.asarray(_signs(jax.random.key(0), 7))
    pictured = ("completion", "translation", "tagger")
    np.savez(folder / "given.npz", **{name: _given(name, 7) for name in pictured}, **_given("infogan", 7))
    np.save(folder / "z.npy", z)
    # Without bytecode, which Python would leave in the directories.
    command = [sys.executable, "-B", "-c", _ALONE, str(folder), *names]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "alone.npz") as found:
        assert sorted(found) == sorted(names)
        for name in names:
            run = gan_jax.load(folder / name, table=_TABLE)
            if name == "mine":
                samples = np.asarray(run.gan.generate(run.state, jnp.asarray(z)))
            else:
                samples = run.sample(7, y=_given(name, 7), seed=3)
            if name == "cdcgan":
                samples = np.concatenate([samples, run.sample(4, label="dog")])
            assert (found[name].dtype, found[name].shape) == (samples.dtype, samples.shape)
            # XLA may round a constant weight in another place than one that is given.
            difference = np.abs(found[name].astype(np.float64) - samples)
            assert difference.max() <= (1 if samples.dtype == np.uint8 else 1e-5), name
            assert (difference > 0).mean() < 0.01 or samples.dtype != np.uint8, name


_NUMPY = """
import sys
for name in ("gan_jax", "jax", "flax"):
    sys.modules[name] = None
import numpy as np
from safetensors.numpy import load_file
folder = sys.argv[1]
weights, z = load_file(f"{folder}/gan.export/weights.safetensors"), np.load(f"{folder}/latents.npy")
p, s = "generator/params/", "generator/batch_stats/"
h = np.maximum(0, z @ weights[p + "Dense_0/kernel"] + weights[p + "Dense_0/bias"])
h = h @ weights[p + "Dense_1/kernel"]
h = (h - weights[s + "BatchNorm_0/mean"]) / np.sqrt(weights[s + "BatchNorm_0/var"] + 1e-5)
h = np.maximum(0, h * weights[p + "BatchNorm_0/scale"] + weights[p + "BatchNorm_0/bias"])
x = h @ weights[p + "Dense_2/kernel"] + weights[p + "Dense_2/bias"]
np.save(f"{folder}/numpy.npy", (255 / (1 + np.exp(-x.astype(np.float64)))).round().reshape(-1, 8, 8, 1))
"""


def test_numpy_alone_gets_the_same_samples_from_the_weights(folder: Path) -> None:
    run = gan_jax.load(folder / "gan")
    z = run.gan.prior(jax.random.split(jax.random.key(5))[0], 9)
    np.save(folder / "latents.npy", np.asarray(z))
    done = subprocess.run([sys.executable, "-c", _NUMPY, str(folder)], cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    difference = np.abs(np.load(folder / "numpy.npy") - run.sample(9, seed=5))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("name", few(_ALL, "cdcgan", "mine"))
def test_an_export_is_read_back(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue("folder" if name in _QUICK else "others")
    run, back = (gan_jax.load(folder / of, table=_TABLE) for of in (name, f"{name}.export"))
    assert (back.classes, back.job.shape, int(back.state.step)) == (run.classes, run.job.shape, 2)
    assert_same(back.sample(6, y=_given(name, 6), seed=4), run.sample(6, y=_given(name, 6), seed=4))
    assert (back.job.tags, back.job.beside) == (run.job.tags, run.job.beside)
    x = np.zeros((3, *run.job.shape), np.float32)
    y = jnp.arange(3) if run.gan.conditioning.kind == "labels" else _given(name, 3)
    assert_same(*(of.gan.discriminate(of.state, jnp.asarray(x), y) for of in (back, run)))


@pytest.mark.parametrize("label", ["cow", 10, 1.0, [0, 1], "{}"])
def test_a_label_that_is_no_class_is_one_sentence_that_names_the_classes(label: Any, folder: Path) -> None:
    load = runpy.run_path(str(folder / "cdcgan.export" / "load.py"))
    with pytest.raises(ValueError, match=r"^there is no class .*: this data has cat, dog, ox$") as alone:
        load["sample"](1, label=label)
    with untyped(), pytest.raises(InputError) as with_package:
        gan_jax.load(folder / "cdcgan.export").sample(1, label=label)
    assert str(alone.value) == re.sub(r" \(did you mean .*\)", "", str(with_package.value))


def test_an_export_of_an_export_is_the_same(folder: Path, tmp_path: Path) -> None:
    assert _export(folder / "gan.export", "--out", tmp_path / "again") == 0
    again, first = (
        json.loads((path / "export.json").read_text()) for path in (tmp_path / "again", folder / "gan.export")
    )
    for record in (again, first):
        del record["files"]["generator.stablehlo"]  # Names within a program are of whoever traced it.
    assert again == first


def test_it_is_sampled_by_the_command_too(folder: Path, tmp_path: Path) -> None:
    for of, out in (("cdcgan", "a.npz"), ("cdcgan.export", "b.npz")):
        assert call("sample", folder / of, "--n", 12, "--label", "ox", "--out", tmp_path / out) == 0
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        assert_same(dict(a), dict(b))


def test_the_directory_holds_what_its_record_says_and_no_path_of_this_machine(folder: Path) -> None:
    path = folder / "cdcgan.export"
    record = json.loads((path / "export.json").read_text())
    names = {"README.md", "export.json", "generator.stablehlo", "load.py", "samples.png", "weights.safetensors"}
    assert {file.name for file in path.iterdir()} == names
    assert record["files"].keys() == names - {"export.json"}
    assert record["data"]["path"] is None
    assert record["averaged"]
    assert (record["z"], record["y"]) == ({"dtype": "float32", "shape": [100]}, {"dtype": "int32", "shape": []})
    assert read_png(path / "samples.png").shape == (2 + 3 * 10, 2 + 10 * 10, 3)
    code = [line for line in (path / "load.py").read_text().splitlines()[1:] if line]
    assert len(code) <= 15


def test_bad_input_is_one_sentence(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    untrained = tmp_path / "untrained"
    shutil.copytree(folder / "gan", untrained, ignore=shutil.ignore_patterns("checkpoints"))
    for typed, words in (
        ([untrained, "--out", tmp_path / "a"], "holds no checkpoint"),
        (["nothing", "--out", tmp_path / "a"], "the models of the package, which has mnist-cdcgan, mnist-wgan"),
        ([folder / "gan", "--out", folder / "gan.export"], "exists already"),
        ([folder / "gan", "--out", tmp_path / "full", "--overwrite"], "holds something that is no export"),
        ([folder / "gan.export", "--out", folder / "gan.export", "--overwrite"], "is the export itself"),
        ([folder / "gan.export", "--step", 2, "--out", tmp_path / "a"], "leave out step and best"),
        ([folder / "gan", "--best", "--out", tmp_path / "a"], "kept no best checkpoint"),
        ([folder / "mine", "--out", tmp_path / "a"], "there is no experiment 'mine' here"),
    ):
        capsys.readouterr()
        assert _export(*typed) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert not (tmp_path / "a").exists()
    assert _export(folder / "gan", "--out", tmp_path / "b") == 0
    assert _export(folder / "mine", "--out", tmp_path / "b", "--overwrite", table=_TABLE) == 0
    assert gan_jax.load(tmp_path / "b", table=_TABLE).job.shape == (2,)


def _without(path: Path, name: str) -> None:
    (path / name).unlink()


def _cut(path: Path, name: str) -> None:
    (path / name).write_bytes((path / name).read_bytes()[:-10])


def _said(path: Path, **changes: object) -> None:
    record = json.loads((path / "export.json").read_text())
    (path / "export.json").write_text(json.dumps(record | changes))


def _wider(path: Path) -> None:
    record = json.loads((path / "export.json").read_text())
    _said(path, options=record["options"] | {"width": 16})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: _cut(path, "weights.safetensors"), "weights.safetensors has changed or is cut off"),
        (lambda path: _without(path, "weights.safetensors"), "weights.safetensors is missing"),
        (lambda path: _cut(path, "export.json"), "export.json is not what export writes"),
        (lambda path: (path / "export.json").write_text("[]"), "export.json is not what export writes"),
        (
            lambda path: _said(path, format=exports.FORMAT + 1),
            "is an export of format 2 and this gan_jax reads format 1",
        ),
        (lambda path: _said(path, options={}), "export.json is not what export writes"),
        (lambda path: _said(path, experiment="none"), "there is no experiment 'none' here"),
        (_wider, "holds the weights of other networks than gan makes here"),
    ],
)
def test_what_is_damaged_or_of_another_version_is_refused(
    damage: object, words: str, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder / "gan.export", tmp_path / "export")
    damage(tmp_path / "export")  # type: ignore[operator]
    with pytest.raises(InputError, match=words):
        gan_jax.load(tmp_path / "export")
