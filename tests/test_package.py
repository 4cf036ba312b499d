import ast
import functools
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gan_jax
from tests.helpers import few


@functools.cache
def imports() -> dict[str, set[str]]:
    """What every module of both packages imports of them: in its functions too, but not for a type checker alone."""
    root = Path(gan_jax.__file__).parents[1]
    files = [file for package in ("gan_jax", "experiments") for file in (root / package).rglob("*.py")]
    modules = {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}

    def named(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules else node.module
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            for child in ast.iter_child_nodes(node):
                yield from named(child)

    return {name: modules.keys() & set(named(ast.parse(file.read_text()))) for name, file in modules.items()}


def test_no_modules_import_each_other_in_a_circle() -> None:
    graphlib.TopologicalSorter(imports()).prepare()


def test_the_core_never_imports_the_lab_and_the_lab_never_the_experiments() -> None:
    def layer(name: str) -> int:
        # `gan_jax` itself hands out `load` of the lab, when it is first named.
        upper = name in ("gan_jax", "gan_jax.__main__") or name.startswith("gan_jax.lab")
        return 2 if name.startswith("experiments") else int(upper)

    assert {layer(name) for name in imports()} == {0, 1, 2}
    assert not [(name, of) for name, all_of in imports().items() for of in all_of if layer(of) > layer(name)]


def test_the_core_loads_neither_lab_nor_metrics() -> None:
    code = (
        "import sys, gan_jax; print(sorted(m for m in sys.modules if m.startswith(('gan_jax.lab', 'gan_jax.metrics'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_no_module_starts_a_device_when_it_is_loaded() -> None:
    """Commands choose devices, and join other processes, after their imports; both must come before any computation."""
    code = """
import importlib, pkgutil
import gan_jax, experiments
for package in (gan_jax, experiments):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if found.name.split(".")[-1] != "__main__" and not found.name.startswith("experiments.benchmark.torch"):
            if found.name.count(".") > 1 or package is gan_jax:
                importlib.import_module(found.name)
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_an_attribute_of_the_package() -> None:
    assert all(getattr(gan_jax, name) is not None for name in gan_jax.__all__)


def test_what_is_loaded_when_it_is_first_named_needs_nothing_else_loaded() -> None:
    """In a process each, forked where nothing but the package is loaded."""
    names = ("checkpoint", "data", "images", "lab", "load", "metrics", "nets", "compiling")
    code = f"""
import os, warnings
import gan_jax
warnings.simplefilter("ignore")  # Of forks of threads: JAX has computed nothing yet.
for name in {names}:
    child = os.fork()
    if child == 0:
        getattr(gan_jax, name)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gan_jax.nothing  # noqa: B018


@pytest.mark.parametrize("entry", few([["-m", "gan_jax"], ["-m", "experiments"]], ["-m", "gan_jax"]))
def test_without_a_command_they_are_listed(entry: list[str]) -> None:
    done = subprocess.run([sys.executable, *entry], capture_output=True, text=True)
    assert done.returncode == 2
    for name in ("run", "sample", "evaluate", "sweep", "study", "classifier", "wgan_gp"):
        assert f"\n  {name} " in done.stdout
