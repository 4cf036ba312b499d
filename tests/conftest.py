"""A strict session: eight virtual CPU devices, no silent broadcasting, warnings are errors (see pyproject.toml)."""

import gc
import importlib.util
import itertools
import os
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from beartype import BeartypeConf, BeartypeDecorPlace
from beartype.claw import beartype_package
from hypothesis import settings
from jaxtyping import install_import_hook

_FLAGS = [
    "--xla_force_host_platform_device_count=8",
    # Tests run small programs once or twice: XLA compiles them three times faster so, and they compute the same.
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
]


def _known(flags: list[str]) -> list[str]:
    """Those that the installed jaxlib knows: it aborts a process that starts with another."""

    def starts(flags: list[str]) -> bool:
        environment = os.environ | {"XLA_FLAGS": " ".join(flags), "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-c", "import jax; jax.devices()"]
        return subprocess.run(command, env=environment, capture_output=True).returncode == 0

    return flags if starts(flags) else [flag for flag in flags if starts([flag])]


gc.disable()

# Read once, when JAX starts: they must stand before anything imports it. Workers inherit what the first process found.
if "GAN_JAX_TEST_FLAGS" not in os.environ:
    os.environ["GAN_JAX_TEST_FLAGS"] = " ".join(_known(_FLAGS))
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {os.environ['GAN_JAX_TEST_FLAGS']}".strip()
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
# Threads of NumPy and SciPy that wait for work take the cores from other workers.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Nothing reads where in Python an operation stands, and writing it beside each takes a fortieth of the time.
os.environ["JAX_TRACEBACK_IN_LOCATIONS_LIMIT"] = "0"
# All workers and the commands that they start share compiled programs, and nothing is left in the user's cache. They
# are kept for the next session, which compiles only what has changed: `pytest --cache-clear` drops them.
_PROGRAMS = Path(__file__).parents[1] / ".pytest_cache" / "d" / "compiled"
if "PYTEST_XDIST_WORKER" not in os.environ:
    if sum(file.stat().st_size for file in _PROGRAMS.glob("*")) > 1 << 30:
        shutil.rmtree(_PROGRAMS)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(_PROGRAMS)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

# What functions of the package are given and return is checked, with the names of arrays' axes. In `lab`, where hardly
# anything is an array, types are checked alone: both would take a tenth of the time of the commands' tests.
_PACKAGE = Path(__file__).parents[1] / "gan_jax"
_SHAPED = [f"gan_jax.{module.name}" for module in pkgutil.iter_modules([str(_PACKAGE)]) if module.name != "lab"]
_OF_ARRAYS_IN_LAB = [f"gan_jax.lab.{name}" for name in ("loading", "measuring", "sampling", "tagging")]
install_import_hook([*_SHAPED, *_OF_ARRAYS_IN_LAB], "beartype.beartype")
beartype_package(
    "gan_jax.lab",
    conf=BeartypeConf(
        claw_decor_place_func=BeartypeDecorPlace.FIRST,  # What `jax.jit` makes of a function takes other arguments.
        claw_is_pep526=False,
        is_random=False,
        violation_type=TypeError,
    ),
)

# A busy machine may take any time for an example.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

_finished = itertools.count(1)
_MEMORY = 2 << 30
_most_memory: float = _MEMORY


@pytest.fixture(autouse=True, scope="session")
def _as_tests_need_it() -> None:
    """On a busy machine anything may take long enough for a line of progress, and tests read standard error. Programs
    that sample are compiled as all others are here, in a third of the time."""
    from gan_jax import compiling
    from gan_jax.lab import progress

    compiling.quick_options = dict
    progress._SECONDS_WITHOUT_A_LINE = progress._SECONDS_BETWEEN_LINES = 3600


def pytest_collection_finish() -> None:
    """Tests and libraries live to the end: the collector need not walk through them again and again, a tenth of all
    the time. While they are loaded it need not run at all."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(100_000, 50, 100)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Frees compiled programs in time: each is hundreds of memory maps, and where Linux has no more (65,530 for a
    process) XLA aborts. Workers and what they start share the memory of a small machine."""
    global _most_memory
    if next(_finished) % 10:
        return
    if _memory() > _most_memory:
        gc.collect()
    if _memory_maps() > 30_000 or _memory() > _most_memory:
        import jax

        jax.clear_caches()
        gc.collect()
        _most_memory = max(_MEMORY, 1.25 * _memory())


def _memory() -> int:
    """Resident bytes of this process."""
    return psutil.Process().memory_info().rss


def _memory_maps() -> int:
    maps = Path("/proc/self/maps")
    return maps.read_bytes().count(b"\n") if maps.exists() else 0


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two for a core, since tests of whole commands wait, for processes to start and for the moment to kill them; each
    with what it starts needs up to 4 GiB."""
    from gan_jax.lab.devices import cores

    return max(1, min(2 * cores(), psutil.virtual_memory().total // (4 << 30)))


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """A worker of xdist notes how many tests it leaves out: the first process, which reports, collects none."""
    # `pytest --lf` may leave out none.
    output = getattr(items[0].config, "workeroutput", None) if items else None
    if output is not None:
        output["deselected"] = output.get("deselected", 0) + len(items)


def pytest_testnodedown(node: Any, error: object) -> None:
    """What the workers have left out, the same in each, is counted in the last line."""
    if count := getattr(node, "workeroutput", {}).get("deselected", 0):
        node.config.pluginmanager.getplugin("terminalreporter").stats["deselected"] = [SimpleNamespace()] * count


def _lacking() -> str:
    """What tests in a browser need and is not there; empty if nothing."""
    lacking = [program for program in ("chromium", "chromedriver") if shutil.which(program) is None]
    return ", ".join(lacking + ([] if importlib.util.find_spec("selenium") else ["selenium"]))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where there is no browser, the tests that need one are left out, and counted."""
    if not _lacking():
        return
    if without := [item for item in items if item.get_closest_marker("browser")]:
        items[:] = [item for item in items if item not in without]
        config.hook.pytest_deselected(items=without)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if lacking := _lacking():
        terminalreporter.write_line(f"tests in a browser are left out, there is no {lacking}: see .ci/run")
