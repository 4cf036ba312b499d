"""run.json: what happened to a run. config.json says what it is; this file says how far it came, and how.

It is written at the start, at each save and at the end, whole each time:

  status            "training", "finished", "stopped" (by a signal, and saved), "diverged", or "interrupted"
  step, steps       generator updates so far, and to be made
  images_seen       real images that D was shown, repetitions counted
  seconds_training  spent in training steps, over all sessions; what was lost with a killed process is not in it
  metrics           the last line of metrics.jsonl
  data              name, number of examples, fingerprint, names of the classes
  features          what --track takes features from, name and fingerprint; null where it takes none
  sessions          one for each start: command, started and ended (UTC), from_step and to_step, status, machine, and
                    device: platform and model, how many trained, how many there were, and the processes they were in
"""

import contextlib
import datetime
import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.lab import devices, files
from gan_jax.lab.job import Job

FILE = "run.json"


class Journal:
    """The run.json of a run that trains. What is assigned to `status` is written when the block of `keeping` ends."""

    def __init__(self, directory: Path | None, record: dict[str, Any], job: Job) -> None:
        self.status = "interrupted"
        self._directory, self._record, self._job = directory, record, job

    @property
    def seconds(self) -> float:
        """Seconds of training so far, as of the last `note`."""
        return float(self._record["seconds_training"])

    def note(self, step: int, seconds: float, metrics: Mapping[str, float]) -> None:
        """Writes that the run is at this step, after so many more seconds of training; `metrics` {} keeps the old."""
        self._record["step"] = self._record["sessions"][-1]["to_step"] = step
        self._record["images_seen"] = images_seen(self._job, step)
        self._record["seconds_training"] = round(self._record["seconds_training"] + seconds, 3)
        self._record["metrics"] = dict(metrics) or self._record["metrics"]
        self.write()

    def end(self) -> None:
        """Writes that this session is over, with `status`."""
        self._record["sessions"][-1] |= {"ended": _now(), "status": self.status}
        self._record["status"] = self.status
        self.write()

    def write(self) -> None:
        if self._directory is not None:
            files.write_text(self._directory / FILE, json.dumps(self._record, indent=2) + "\n")


@contextlib.contextmanager
def keeping(
    directory: Path | None,
    job: Job,
    dataset: Dataset,
    command: str,
    step: int,
    steps: int,
    *,
    used: int = 1,
    features: str | None = None,
) -> Iterator[Journal]:
    """A session of training from `step` on, in the run's journal.

    Args:
      directory: the run's; None in a process that leaves the journal to another.
      job: what the run is.
      dataset: what it trains on.
      command: as it was typed.
      step: where the session starts.
      steps: where the run is to end.
      used: how many devices train.
      features: which features --track measures.
    """
    record = _read(directory)
    for session in record["sessions"]:
        if session["status"] == "training":
            session["status"] = "interrupted"
    session = {"command": command, "status": "training", "started": _now(), "ended": None}
    session |= {"from_step": step, "to_step": step, "machine": machine(), "device": devices.described(used)}
    now = {
        "status": "training",
        "step": step,
        "steps": steps,
        "images_seen": images_seen(job, step),
        "seconds_training": record["seconds_training"],
        "metrics": record["metrics"],
        "data": {
            "name": dataset.name,
            "count": len(dataset),
            "fingerprint": dataset.fingerprint,
            "classes": list(dataset.classes),
        },
        "features": features,
        "sessions": [*record["sessions"], session],
    }
    journal = Journal(directory, now, job)
    journal.write()
    try:
        yield journal
    finally:
        journal.end()


def read(directory: Path) -> dict[str, Any]:
    """A run's journal; one that says "training" of a run that no process trains says "interrupted".

    Raises:
      InputError: there is none, or it is not one.
    """
    if not (directory / FILE).exists():
        raise InputError(f"{directory} holds no {FILE}: choose the directory of a run")
    record = _read(directory)
    if record["status"] == "training" and not files.is_locked(directory):
        record["status"] = record["sessions"][-1]["status"] = "interrupted"
    return record


def features_of(directory: Path) -> str | None:
    """Which features --track has measured in a run so far; None where it has none, or its journal does not say."""
    return _read(directory).get("features")


def images_seen(job: Job, step: int) -> int:
    """Real images that D was shown in so many steps."""
    warmup = min(step, job.options.get("warmup_steps", 0))
    updates = warmup * job.options.get("warmup_critic", 0) + (step - warmup) * job.gan().n_critic
    return updates * job.options["batch_size"]


def machine() -> dict[str, Any]:
    """What this machine is: operating system, processor, cores that may be used, memory in GB (10^9 bytes)."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": devices.cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _read(directory: Path | None) -> dict[str, Any]:
    """The journal so far, or that of a run that has none yet."""
    file = None if directory is None else directory / FILE
    if file is None or not file.exists():
        return {"seconds_training": 0.0, "metrics": {}, "sessions": []}
    try:
        record = json.loads(file.read_text())
        sound = isinstance(record["metrics"], dict) and record["seconds_training"] >= 0 and record["status"]
        sound = sound and all(session["status"] for session in record["sessions"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is not the journal of a run ({error!r}): move it away") from error
    if not sound:
        raise InputError(f"{file} is not the journal of a run: move it away")
    return record


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
