"""Train for long and watch: python -m experiments.soak NAME [options of experiments.run]. Memory and speed by quarters.

The run is a process of its own, whose resident memory is read while it trains; it must not grow, nor the run slow down.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from experiments import cli, run
from experiments.configs import EXPERIMENTS

_SECONDS = 0.5


def main(argv: list[str]) -> int:
    """Trains in a temporary directory and prints the table; returns the exit code of the run."""
    if not argv or argv[0] not in EXPERIMENTS:
        print("usage: python -m experiments.soak NAME [options of experiments.run NAME]", file=sys.stderr)
        return 2
    run.parser(argv[0]).parse_args(argv[1:])

    from experiments import logs

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
    """Megabytes of a process in memory, None when it has gone."""
    listed = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return int(listed) / 1024 if listed else None


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else float("nan")


if __name__ == "__main__":
    cli.main(main)
