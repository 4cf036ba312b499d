"""Whole processes, timed from the outside: start-up, with a cold and a warm cache, a sweep against single runs."""

import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from experiments.benchmark.cases import CASES
from gan_jax.errors import InputError

_SWEEP = {"lr": (2e-5, 5e-5, 1e-4, 2e-4), "clip": (0.003, 0.01, 0.02, 0.03)}
_SIDE = 4
SWEEPS = (8, _SIDE**3)
"""Members that a timed sweep may have: as many learning rates as clips and seeds."""


def startup(turns: int, name: str = "wgan") -> dict[str, Any]:
    """Seconds from the command to its first step's line in metrics.jsonl, with an empty cache and with a filled one.

    With a filled cache it is the median of `turns`.
    """
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        seconds = []
        for turn in range(1 + turns):
            log = directory / str(turn) / "metrics.jsonl"
            arguments = [name, "--out", str(log.parent), "--log-every", "1"]
            started = time.perf_counter()
            process = _started(_command("run", *arguments), env=_environment(directory), **_quiet)
            while not (log.exists() and log.stat().st_size) and process.poll() is None:
                time.sleep(0.01)
            seconds.append(time.perf_counter() - started)
            process.send_signal(signal.SIGTERM)
            if process.wait() != 128 + signal.SIGTERM:
                raise InputError(f"experiments.run {' '.join(arguments)} failed: run it by hand to see why")
    first = {"cold": seconds[0], "warm": statistics.median(seconds[1:])}
    return {"command": f"python -m experiments.run {name} --log-every 1", "seconds_to_first_step": first}


def first_sample(turns: int) -> dict[str, Any]:
    """Seconds of the processor that new processes take, by what they do: medians over `turns`, without a cache."""
    codes = {
        "import_jax": "import jax",
        "one_program": "import jax; jax.jit(lambda x: x + 1)(1.0)",
        "first_sample": "import gan_jax; gan_jax.load('mnist-cdcgan').sample(16, label=7)",
    }
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false", "JAX_PLATFORMS": "cpu"}
    for _ in range(turns):
        for name, code in codes.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            if _started([sys.executable, "-c", code], env=environment).wait():
                raise InputError(f"{code} failed: see its own error above")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"code": codes["first_sample"], "cpu_s": {name: statistics.median(of) for name, of in seconds.items()}}


def sweep(*, steps: int, runs: int, members: int = SWEEPS[-1], name: str = "wgan") -> dict[str, Any]:
    """Times one sweep, and `runs` of its members as separate commands, each from end to end.

    The sweep is timed with an empty compilation cache, and once more with its programs there, as those of the runs are
    but the first's. The runs are spread evenly over the members; `members` times their median is the time of the
    members one after the other.
    """
    recipe = CASES[name].recipe
    critic = ["--n-critic=5", "--d-width=none", "--d-depth=none", "--d-activation=relu"]
    fixed = [f"--width={recipe['width']}", f"--depth={recipe['depth']}", *critic, "--ema=none", f"--steps={steps}"]
    fixed += [f"--batch-size={CASES[name].batch_size}"]
    side = round(members ** (1 / 3))
    values = {key: own[:: _SIDE // side] for key, own in _SWEEP.items()}
    swept = [f"--{key}={','.join(map(str, own))}" for key, own in values.items()]
    plan = [(lr, clip, seed) for lr in values["lr"] for clip in values["clip"] for seed in range(side)]
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        arguments = [name, *fixed, *swept, f"--seeds={side}"]
        cold_s, cached_s = (
            _timed(_command("sweep", *arguments, "--out", str(directory / cache)), directory)
            for cache in ("cold", "cached")
        )
        record = json.loads((directory / "cold" / "summary.json").read_text())
        run_s = []
        for lr, clip, seed in plan[:: len(plan) // runs]:
            one = [name, *fixed, f"--lr={lr}", f"--clip={clip}", f"--seed={seed}"]
            run_s.append(_timed(_command("run", *one, "--out", str(directory / f"{lr}-{clip}-{seed}")), directory))
    alone_s = len(plan) * statistics.median(run_s)
    return {
        "command": f"python -m experiments.sweep {' '.join(arguments)}",
        "members": len(plan),
        "compilations": record["compilations"],
        "sweep_s": cold_s,
        "cached_s": cached_s,
        "run_s": run_s,
        "ratio": alone_s / cold_s,
        "cached_ratio": alone_s / cached_s,
    }


_quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


_processes: list[subprocess.Popen[bytes]] = []


def _started(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """A process that `end` ends."""
    _processes.append(subprocess.Popen(command, **options))
    return _processes[-1]


def end() -> None:
    """Kills what was started here and still runs."""
    for process in _processes:
        process.kill()  # Does nothing to one that has ended.


def _command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"experiments.{module}", *arguments]


def _environment(directory: Path) -> dict[str, str]:
    return os.environ | {"JAX_COMPILATION_CACHE_DIR": str(directory / "cache")}


def _timed(command: list[str], directory: Path) -> float:
    started = time.perf_counter()
    process = _started(command, env=_environment(directory), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.communicate()[1]
    if process.returncode:
        raise InputError(f"{' '.join(command[1:])} failed: {errors.decode().strip()[-300:]}")
    return time.perf_counter() - started
