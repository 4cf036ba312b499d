import subprocess
import sys

import pytest

import gan_jax


def test_the_core_loads_neither_lab_nor_metrics() -> None:
    code = (
        "import sys, gan_jax; print(sorted(m for m in sys.modules if m.startswith(('gan_jax.lab', 'gan_jax.metrics'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("name", gan_jax.__all__)
def test_every_public_name_is_an_attribute_of_the_package(name: str) -> None:
    code = f"import gan_jax; gan_jax.{name}"
    if name in ("checkpoint", "data", "images", "lab", "load", "metrics", "nets", "compiling"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert getattr(gan_jax, name) is not None


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gan_jax.nothing  # noqa: B018


@pytest.mark.parametrize("entry", [["-m", "gan_jax"], ["-m", "experiments"]])
def test_without_a_command_they_are_listed(entry: list[str]) -> None:
    done = subprocess.run([sys.executable, *entry], capture_output=True, text=True)
    assert done.returncode == 2
    for name in ("run", "sample", "evaluate", "sweep", "study", "classifier", "wgan_gp"):
        assert f"\n  {name} " in done.stdout
