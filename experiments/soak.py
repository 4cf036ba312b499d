"""Train for long and watch: python -m experiments.soak NAME [options of experiments.run]. Memory and speed by quarters.

The run is a separate process, whose resident memory is read while it trains; memory must not grow, nor the run slow
down.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from gan_jax.lab import EXPERIMENTS, cli
from gan_jax.lab.commands import run
from gan_jax.lab.runs import logs

_SECONDS = 0.5


def main(argv: list[str]) -> int:
    """Trains in a temporary directory and prints the table; returns the exit code of the run."""
    lab = cli.Lab(EXPERIMENTS, "python -m experiments.{}")
    run.parser(lab, lab.experiment("soak", argv)).parse_args(argv[1:])
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "run"
        command = [sys.executable, "-m", "experiments.run", *argv, "--out", str(out)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        resident: dict[int, float] = {}
        log = out / "metrics.jsonl"
        while process.poll() is None:
            time.sleep(_SECONDS)
            lines = logs.read(log) if log.exists() else {}
            if lines and (megabytes := _resident(process.pid)):
                resident[max(lines)] = megabytes
        if process.returncode != 0:
            return process.returncode
        lines = logs.read(log)
    steps = list(lines)
    print(
        f"{steps[-1]} steps in {len(steps)} lines\n\n| steps | resident MB, median | steps/s, median |\n|---|---|---|"
    )
    for quarter in range(4):
        low, high = quarter * steps[-1] // 4, (quarter + 1) * steps[-1] // 4
        memory = _median([value for step, value in resident.items() if low < step <= high])
        speed = _median([lines[step]["steps_per_s"] for step in steps if low < step <= high])
        print(f"| {low} to {high} | {memory:.0f} | {speed:.0f} |")
    return 0


def _resident(pid: int) -> float | None:
    """Resident memory of a process in megabytes, None if it has ended."""
    try:
        return psutil.Process(pid).memory_info().rss / 2**20
    except psutil.NoSuchProcess:
        return None


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else float("nan")


if __name__ == "__main__":
    cli.guarded("soak", lambda: main(sys.argv[1:]))
