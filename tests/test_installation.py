"""The package as others have it: built, installed in an environment of its own, and started in odd places.

Nothing is downloaded: an environment's dependencies are those of this one, and the build backend is too.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gan_jax.lab.exports import shipped

_ROOT = Path(__file__).parents[1]
_CONSTRAINTS = ["constraints.txt", "constraints-newest.txt"]
_TINY = ["--data", "ring", "--steps", "1", "--width", "4", "--batch-size", "4"]


def _run(*command: object, cwd: Path, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """A command with some variables of the environment changed, those that are None removed."""
    variables = {**os.environ, "PYTHONPATH": None, **environment}
    return subprocess.run(
        [os.fspath(word) if isinstance(word, Path) else str(word) for word in command],
        cwd=cwd,
        env={name: value for name, value in variables.items() if value is not None},
        capture_output=True,
        text=True,
        errors="surrogateescape",
    )


def _done(*command: object, cwd: Path, **environment: str | None) -> str:
    """What a command prints that is to succeed."""
    done = _run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    return _done("git", "-C", folder, *identity, *arguments, cwd=folder).strip()


@pytest.fixture(scope="session", params=["editable", pytest.param("copied", marks=pytest.mark.slow)])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment in somebody else's repository, with the package installed."""
    project = tmp_path_factory.mktemp(f"{request.param} project")
    _git(project, "init", "-q")
    _git(project, "commit", "-q", "--allow-empty", "-m", "first")
    venv.create(project / ".venv", with_pip=False, symlinks=True)
    (site,) = (project / ".venv").glob("lib/python*/site-packages")
    paths = sysconfig.get_paths()
    (site / "dependencies.pth").write_text(f"{paths['purelib']}\n{paths['platlib']}\n" + _paths_of_path_files(paths))
    python = project / ".venv" / "bin" / "python"
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed", "--quiet"]
    source = ["--editable", _ROOT] if request.param == "editable" else [_ROOT]
    pip = [sys.executable, "-m", "pip", "--python", python, "install", *options, *source]
    _done(*pip, cwd=project, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore")
    return python.parent


def _paths_of_path_files(paths: dict[str, str]) -> str:
    """The directories that path files of this environment name, but for this package's own."""
    lines = [line for file in Path(paths["purelib"]).glob("*.pth") for line in file.read_text().splitlines()]
    return "\n".join(line for line in lines if Path(line).is_dir() and not (Path(line) / "gan_jax").exists())


def _package_files() -> set[str]:
    files = (file for package in ("gan_jax", "experiments") for file in (_ROOT / package).rglob("*"))
    return {str(file.relative_to(_ROOT)) for file in files if file.is_file() and "__pycache__" not in file.parts}


def _built(kind: str, source: Path, out: Path) -> Path:
    code = f"import hatchling.build; print(hatchling.build.build_{kind}({str(out)!r}))"
    return out / _done(sys.executable, "-c", code, cwd=source).splitlines()[-1]


def test_wheel_and_source_hold_the_packages_with_their_data_and_the_license_and_nothing_else(tmp_path: Path) -> None:
    files = _package_files()
    data = {file for file in files if not file.endswith(".py")}
    assert {Path(file).suffix for file in data} == {
        ".gz", ".npz", ".html", ".css", ".js", ".json", ".md", ".png", ".safetensors"
    }  # fmt: skip
    assert len(data) == 9 + 4 * len(shipped.names())
    assert "gan_jax/lab/runs/directory.py" in files
    with zipfile.ZipFile(_built("wheel", _ROOT, tmp_path)) as wheel:
        names = wheel.namelist()
        of_wheel = {name for name in names if ".dist-info/" not in name}
        described = {name.partition(".dist-info/")[2] for name in names} - {""}
        assert b"\nRequires-Dist: jax[cuda]" in wheel.read(next(name for name in names if name.endswith("/METADATA")))
    assert of_wheel == files
    assert described == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    with tarfile.open(_built("sdist", _ROOT, tmp_path)) as source:
        of_source = {name.partition("/")[2] for name in source.getnames()}
        source.extractall(tmp_path, filter="data")
    beside = {"LICENSE", "README.md", "pyproject.toml", ".gitignore", "PKG-INFO", *_CONSTRAINTS}
    assert of_source == files | beside
    (unpacked,) = (path for path in tmp_path.iterdir() if path.is_dir())
    with zipfile.ZipFile(_built("wheel", unpacked, unpacked)) as wheel:
        assert sorted(wheel.namelist()) == sorted(names)


@pytest.mark.parametrize("file", _CONSTRAINTS)
def test_constraints_pin_every_dependency_within_its_range(file: str) -> None:
    lines = [line for line in (_ROOT / file).read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    assert len(pins) == len(lines)
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    names = ("dev", "docs", "study", "robots")
    needed = [*map(Requirement, [*project["dependencies"], *(line for name in names for line in extras[name])])]
    # Pip is what installs, and is not to replace itself.
    unpinned = {need.name for need in needed if canonicalize_name(need.name) not in pins}
    assert unpinned == {"pip"}
    outside = [
        need for need in needed if need.name != "pip" and pins[canonicalize_name(need.name)] not in need.specifier
    ]
    assert outside == []


@pytest.mark.slow
def test_it_runs_in_another_repository_with_the_data_that_comes_with_it(installed: Path, tmp_path: Path) -> None:
    project = installed.parents[1]
    said = _done(installed / "gan-jax", "run", "gan", *_TINY, "--out", tmp_path / "a", cwd=project)
    assert f"next: gan-jax sample {tmp_path / 'a'}" in said
    # The commit is the one of the code that runs.
    commit = json.loads((tmp_path / "a" / "config.json").read_text())["commit"]
    if "editable" in project.name and (_ROOT / ".git").exists():
        assert commit.rstrip("+") == _git(_ROOT, "rev-parse", "HEAD")
    else:
        assert commit is None
    _done(installed / "python", "-m", "gan_jax", "sample", "a", "--out", "a.png", cwd=tmp_path)
    help_text = _done(installed / "python", "-m", "experiments.run", "--help", cwd=tmp_path)
    assert help_text.startswith("usage: python -m experiments.run")
    code = "from gan_jax import data, metrics; print(len(data.load('mnist')), metrics.features.load('mnist').record)"
    assert _done(installed / "python", "-c", code, cwd=tmp_path).startswith("60000 ")


@pytest.mark.parametrize("name", ["gan_jax", pytest.param("gan-jax", marks=pytest.mark.slow)])
def test_a_script_beside_a_clone_finds_the_package(name: str, installed: Path, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to(_ROOT)
    (tmp_path / "mine.py").write_text("import gan_jax.lab; print(gan_jax.GAN.__name__, gan_jax.lab.__file__)\n")
    here = _ROOT if "editable" in installed.parents[1].name else installed.parents[1]
    for where in (tmp_path, tmp_path.parent):
        found = _done(installed / "python", tmp_path / "mine.py", cwd=where).split(maxsplit=1)
        assert found[0] == "GAN"
        assert Path(found[1].strip()).is_relative_to(here)
    assert "wgan_gp" in _done(installed / "python", "-m", "gan_jax", "--help", cwd=tmp_path)


@pytest.mark.slow
def test_in_a_project_with_experiments_of_its_own_the_other_names_work(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").write_text("")
    (tmp_path / "experiments" / "mine.py").write_text("print('my own')")
    assert "wgan_gp" in _done(installed / "gan-jax", "run", "--help", cwd=tmp_path)
    assert "wgan_gp" in _done(installed / "python", "-m", "gan_jax", "run", "--help", cwd=tmp_path)
    assert _done(installed / "python", "-m", "experiments.mine", cwd=tmp_path) == "my own\n"


_NOBODY = """
import pwd

def getpwuid(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")

pwd.getpwuid = getpwuid
"""

_HOMES: dict[str, dict[str, str | None]] = {
    "none": {"HOME": None},
    "none that there is": {"HOME": "/dev/null/home"},
    "none that may be written": {"HOME": "/proc"},
    "none, and a cache that may not be written": {"HOME": None, "XDG_CACHE_HOME": "/proc/cache"},
}


def _without_a_home(case: str, folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """A command of a user without a passwd entry."""
    (folder / "sitecustomize.py").write_text(_NOBODY)
    (folder / "work").mkdir()
    caches = ("JAX_COMPILATION_CACHE_DIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    variables: dict[str, str | None] = dict.fromkeys(caches) | {"PYTHONPATH": f"{_ROOT}:{folder}"} | _HOMES[case]
    done = _run(sys.executable, "-m", "gan_jax", *command, cwd=folder / "work", **variables)
    assert "Traceback" not in done.stderr
    assert done.stderr.count("JAX_COMPILATION_CACHE_DIR=DIR keeps them\n") == 1
    return done


@pytest.mark.parametrize(
    "case",
    [case if "cache" in case else pytest.param(case, marks=pytest.mark.slow) for case in _HOMES],
)
def test_without_a_home_or_a_name_there_is_one_line_more(case: str, tmp_path: Path) -> None:
    done = _without_a_home(case, tmp_path, "sample", "nowhere", "--out", "a.png")
    assert done.returncode == 2
    assert "sample: nowhere is not a run" in done.stderr
    assert done.stderr.count("\n") == 2
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.slow
def test_without_a_home_or_a_name_it_trains_and_draws(tmp_path: Path) -> None:
    done = _without_a_home("none", tmp_path, "run", "gan", *_TINY)
    assert done.returncode == 0, done.stderr
    assert "matplotlib" not in done.stderr.lower()
    assert (tmp_path / "work" / "runs" / "gan" / "001" / "samples" / "0000001.png").exists()


_ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(_ROOT)}


@pytest.mark.slow
def test_under_a_locale_without_utf8_it_runs_and_refuses_names_that_checkpoints_cant_have(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gan_jax"]
    _done(*command, "run", "gan", *_TINY, "--out", "a", cwd=tmp_path, **_ASCII)
    for path in ("\xfc", "b/\xfc"):
        done = _run(*command, "run", "gan", *_TINY, "--out", path, cwd=tmp_path, **_ASCII)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "set LC_ALL=C.UTF-8" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    # Files that Orbax has nothing to do with may have any name.
    said = _done(*command, "sample", "a", "--out", "\xfc.png", cwd=tmp_path, **_ASCII)
    assert "2,500 samples at step 1" in said
    _done(*command, "sample", "a", "--out", os.fsdecode(b"caf\xe9.npz"), cwd=tmp_path, PYTHONPATH=str(_ROOT))
    assert {os.fsencode(path.name) for path in tmp_path.iterdir()} == {b"a", "\xfc.png".encode(), b"caf\xe9.npz"}
