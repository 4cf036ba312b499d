"""Whole commands, timed from the outside: start-up with a cold and a warm cache, a sweep against single runs."""

import json
import os
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
_SEEDS = 4


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
            process = subprocess.Popen(_command("run", *arguments), env=_environment(directory), **_quiet)
            while not (log.exists() and log.stat().st_size) and process.poll() is None:
                time.sleep(0.01)
            seconds.append(time.perf_counter() - started)
            process.send_signal(signal.SIGTERM)
            if process.wait() != 128 + signal.SIGTERM:
                raise InputError(f"experiments.run {' '.join(arguments)} failed: run it by hand to see why")
    first = {"cold": seconds[0], "warm": statistics.median(seconds[1:])}
    return {"command": f"python -m experiments.run {name} --log-every 1", "seconds_to_first_step": first}


def sweep(*, steps: int, runs: int, name: str = "wgan") -> dict[str, Any]:
    """Times one sweep of 64 members, and `runs` of its members as separate commands, each from end to end.

    The compilation cache is empty at first. The runs are spread evenly over the sweep's members; 64 times their median
    is the time of the members one after the other.
    """
    recipe = CASES[name].recipe
    critic = ["--n-critic=5", "--d-width=none", "--d-depth=none", "--d-activation=relu"]
    fixed = [f"--width={recipe['width']}", f"--depth={recipe['depth']}", *critic, "--ema=none", f"--steps={steps}"]
    fixed += [f"--batch-size={CASES[name].batch_size}"]
    swept = [f"--{key}={','.join(map(str, values))}" for key, values in _SWEEP.items()]
    members = [(lr, clip, seed) for lr in _SWEEP["lr"] for clip in _SWEEP["clip"] for seed in range(_SEEDS)]
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        arguments = [name, *fixed, *swept, f"--seeds={_SEEDS}"]
        swept_s = _timed(_command("sweep", *arguments, "--out", str(directory / "sweep")), directory)
        record = json.loads((directory / "sweep" / "summary.json").read_text())
        run_s = []
        for lr, clip, seed in members[:: len(members) // runs]:
            one = [name, *fixed, f"--lr={lr}", f"--clip={clip}", f"--seed={seed}"]
            run_s.append(_timed(_command("run", *one, "--out", str(directory / f"{lr}-{clip}-{seed}")), directory))
    alone_s = statistics.median(run_s)
    return {
        "command": f"python -m experiments.sweep {' '.join(arguments)}",
        "members": len(members),
        "compilations": record["compilations"],
        "sweep_s": swept_s,
        "run_s": run_s,
        "ratio": len(members) * alone_s / swept_s,
    }


_quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def _command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"experiments.{module}", *arguments]


def _environment(directory: Path) -> dict[str, str]:
    return os.environ | {"JAX_COMPILATION_CACHE_DIR": str(directory / "cache")}


def _timed(command: list[str], directory: Path) -> float:
    started = time.perf_counter()
    process = subprocess.run(command, env=_environment(directory), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if process.returncode:
        raise InputError(f"{' '.join(command[1:])} failed: {process.stderr.decode().strip()[-300:]}")
    return time.perf_counter() - started
