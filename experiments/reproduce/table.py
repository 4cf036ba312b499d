"""Tables of results: what they contain, and how they are made and written, as JSON and Markdown.

A table has rows of others, as they were published, and rows of ours. A row of ours is a measurement of seeds, several
at once where there are devices for it. Its settings are saved beside the results in TABLE.json: a result found there
under the same settings is not computed again, so an interrupted table resumes, and results of other settings do not
count. (The settings do not cover the code: after a change of it, delete the file.) Several commands may measure
different rows of one table at the same time.
"""

import dataclasses
import datetime
import importlib.metadata
import json
import math
import platform
import re
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import psutil

from experiments.reproduce import intervals
from gan_jax import images
from gan_jax.errors import InputError
from gan_jax.lab.files import lock, write_text
from gan_jax.lab.progress import Progress
from gan_jax.lab.runs.directory import commit
from gan_jax.lab.signals import leave_at_once

Budget = Literal["full", "small", "paper"]
Better = Literal["lower", "higher"]
Record = dict[str, Any]

_SECONDS_BETWEEN_PLOTS = 30


class Outcome(NamedTuple):
    """The result of one seed.

    Attributes:
      numbers: by column.
      curves: numbers along training, by name.
      picture: uint8 RGB `[H, W, 3]`; the first seed's is saved as TABLE-ROW.png, ROW in lower case.
    """

    numbers: Mapping[str, float]
    curves: Mapping[str, Sequence[float]] = {}
    picture: np.ndarray | None = None


class Row(NamedTuple):
    """A row of ours.

    Attributes:
      name: a short one, also for its picture's file.
      settings: what may be tuned in it, as JSON.
      measure: `seeds -> their outcomes`.
      seeds: which seeds to measure.
      at_once: seeds per call of `measure`, all of which an interruption may cost.
      after: names of earlier rows; `measure` gets their results too, as TABLE.json holds them, one argument each.
    """

    name: str
    settings: Mapping[str, Any]
    measure: Callable[..., Sequence[Outcome]]
    seeds: Sequence[int]
    at_once: int
    after: Sequence[str] = ()


class Published(NamedTuple):
    """A row of others: the text of every column as its source prints it."""

    name: str
    source: str
    numbers: Mapping[str, str]


class Column(NamedTuple):
    """A column.

    Attributes:
      heading: what it says.
      decimals: of its numbers.
      better: "lower" or "higher" to show the median and the worst seed; None for the interquartile mean and its
        interval.
    """

    heading: str
    decimals: int
    better: Better | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """One table.

    Attributes:
      title: one line.
      note: Markdown: the protocol, where we differ from it, and what was tried.
      columns: by the names of the rows' numbers.
      published: rows of others.
      rows: rows of ours.
      plot: `(row names to outcomes as TABLE.json holds them, PNG file)`; None for no plot.
      body: `rows as TABLE.json holds them -> the table as Markdown`; None for `lines`.
    """

    title: str
    note: str
    columns: Mapping[str, Column]
    published: Sequence[Published]
    rows: Sequence[Row]
    plot: Callable[[Mapping[str, Sequence[Record]], Path], None] | None = None
    body: Callable[[Mapping[str, Record]], str] | None = None


def make(
    name: str,
    table: Table,
    command: str,
    out: Path,
    *,
    only: Collection[str] | None = None,
    seeds: int | None = None,
) -> None:
    """Measures what TABLE.json in `out` lacks; writes it and TABLE.md after every result, the plot now and then.

    Args:
      name: of the files.
      table: what to measure.
      command: the command line, for the record.
      out: directory of the files; created if missing.
      only: names of the rows to measure, whose results of other settings are dropped; the other rows stay as they
        are. None for all.
      seeds: how many seeds of each row to measure, the first ones; those that are there already stay. None for all.

    Raises:
      InputError: TABLE.json is not the record of a table, something can't be written, or another command has begun to
        measure a row with other settings.
    """
    rows = [row for row in table.rows if only is None or row.name in only]
    try:
        out.mkdir(parents=True, exist_ok=True)
        store = _Store(name, table, command, out)
        store.begin(rows)
        total = sum(len(row.seeds[:seeds]) for row in rows)
        done = total - sum(len(store.missing(row, seeds)) for row in rows)
        kept = f"interrupted; every result is in {out}, and the same command continues"
        with leave_at_once(kept), Progress(total, unit="seed", what=name, initial=done) as bar:
            for row in rows:
                while missing := store.missing(row, seeds)[: row.at_once]:
                    started = _spent()
                    with bar.doing(f"{row.name}, seeds {', '.join(map(str, missing))}", counts=True):
                        outcomes = row.measure(missing, *map(store.results, row.after))
                    core_seconds = (_spent() - started) / len(missing)
                    for seed, outcome in zip(missing, outcomes, strict=True):
                        if outcome.picture is not None and seed == row.seeds[0]:
                            images.save_png(out / f"{name}-{picture_name(row.name)}.png", outcome.picture)
                    results = store.add(
                        row,
                        [_result(seed, each, core_seconds) for seed, each in zip(missing, outcomes, strict=True)],
                    )
                    bar.advance(len(missing))
                    bar.say(f"{row.name}, {len(results)} of {len(row.seeds)} seeds: {_line(table, row, results)}")
            store.plot()
    except OSError as error:
        raise InputError(
            f"{out} can't be written ({error.strerror}): choose a writable directory with --out"
        ) from error


class _Store:
    """TABLE.json, TABLE.md and the plot; what other commands have written meanwhile is kept."""

    def __init__(self, name: str, table: Table, command: str, out: Path) -> None:
        self._name, self._table, self._command, self._out = name, table, command, out
        self._settings = {row.name: json.loads(json.dumps(row.settings)) for row in table.rows}
        self._rows: dict[str, Record] = {}
        self._plotted = -math.inf

    def begin(self, rows: Sequence[Row]) -> None:
        """Drops the results of these rows that are of other settings, and rows that the table has no longer."""
        measured = {row.name: row for row in rows}
        with lock(self._out, wait=True):
            old = self._read()
            for row in self._table.rows:
                kept = old.get(row.name)
                if row.name in measured:
                    results = kept["results"] if kept is not None and self._is_of(row, kept) else []
                    results = [result for result in results if result["seed"] in row.seeds]
                    self._rows[row.name] = {"settings": self._settings[row.name], "results": results}
                elif kept is not None:
                    self._rows[row.name] = kept
            self._write()

    def missing(self, row: Row, most: int | None) -> list[int]:
        """Which of a row's first seeds have no result."""
        found = {result["seed"] for result in self._rows[row.name]["results"]}
        return [seed for seed in row.seeds[:most] if seed not in found]

    def results(self, name: str) -> Sequence[Record]:
        """The results of a row."""
        return self._rows[name]["results"]

    def add(self, row: Row, new: Sequence[Record]) -> Sequence[Record]:
        """Writes results of a row; returns all that it has. Raises InputError where others measure other settings."""
        with lock(self._out, wait=True):
            self._rows = self._read()
            kept = self._rows.get(row.name)
            if kept is None or not self._is_of(row, kept):
                raise InputError(
                    f"another command measures {row.name} with other settings, and {self._out} has its results: "
                    "choose a different --out"
                )
            results = {result["seed"]: result for result in (*kept["results"], *new)}
            kept["results"] = [results[seed] for seed in sorted(results)]
            self._write()
        if time.monotonic() - self._plotted > _SECONDS_BETWEEN_PLOTS:
            self.plot()
        return kept["results"]

    def _is_of(self, row: Row, kept: Record) -> bool:
        return kept.get("settings") == self._settings[row.name]

    def _read(self) -> dict[str, Record]:
        file = self._out / f"{self._name}.json"
        try:
            rows = json.loads(file.read_text())["rows"]
            needed = {"seed", "numbers", "core_seconds", "date"}
            assert all(needed <= set(result) for row in rows.values() for result in row["results"])
        except FileNotFoundError:
            return {}
        except (AssertionError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{file} is not the record of a table ({error!r}): choose a different --out") from error
        return rows

    def _write(self) -> None:
        record: Record = {
            "table": self._name,
            "title": self._table.title,
            "command": self._command,
            "machine": _machine(),
            "rows": self._rows,
        }
        write_text(self._out / f"{self._name}.json", json.dumps(record, indent=1) + "\n")
        write_text(self._out / f"{self._name}.md", markdown(self._table, record | {"rows": self._shown()}))

    def plot(self) -> None:
        """TABLE.png; not for every result, since drawing can take longer than to measure one."""
        with lock(self._out, wait=True):
            self._rows = self._read()
            results = {name: row["results"] for name, row in self._shown().items()}
            if self._table.plot is not None and any(results.values()):
                self._table.plot(results, self._out / f"{self._name}.png")
        self._plotted = time.monotonic()

    def _shown(self) -> dict[str, Record]:
        """The rows that the table has, of its settings, in its order."""
        return {
            row.name: self._rows[row.name]
            for row in self._table.rows
            if row.name in self._rows and self._is_of(row, self._rows[row.name])
        }


def markdown(table: Table, record: Mapping[str, Any]) -> str:
    """The text of TABLE.md: title, the table itself, how it was made, and the note."""
    everything = [result for row in record["rows"].values() for result in row["results"]]
    ours = (
        "Ours: interquartile mean over seeds and its 95 % bootstrap interval (Agarwal et al. 2021, arXiv:2108.13264; "
        "too narrow where seeds are fewer than five). Each row's settings and the numbers of every seed are"
    )
    if table.body is not None:
        ours = "The numbers of every seed are"
    made = (
        f"`{record['command']}`: {_took(everything, record['machine'])}, "
        f"finished {max(result['date'] for result in everything)}. {ours} in the JSON file beside this one."
        if everything
        else f"`{record['command']}` has no result yet."
    )
    body = lines(table, record) if table.body is None else table.body(record["rows"])
    return "\n\n".join([f"# {table.title}", body, made, table.note]) + "\n"


def _took(results: Sequence[Record], machine: Record) -> str:
    """The time of all results by device and version of JAX; `machine` has those of results which do not say theirs."""
    seconds: dict[tuple[str, str], float] = {}
    for result in results:
        device, version = ((machine | result)[key] for key in ("device", "jax"))
        seconds[device, version] = seconds.get((device, version), 0) + result["core_seconds"]
    spent = []
    for (device, version), total in seconds.items():
        core = "core " if device == "cpu" else ""
        time = f"{total / 60:.0f} {core}minutes" if total > 600 else f"{total:.0f} {core}seconds"
        spent.append(f"{time} in all, {device}, jax {version}")
    return "; ".join(spent)


def lines(table: Table, record: Mapping[str, Any]) -> str:
    """The table itself: rows of others, then ours as interquartile mean [interval] over seeds."""
    head = ["", "seeds", *(column.heading for column in table.columns.values()), "core-seconds per seed", "source"]
    rows = [
        [row.name, "", *(row.numbers.get(key, "") for key in table.columns), "", row.source] for row in table.published
    ]
    for name, row in record["rows"].items():
        results = row["results"]
        if results:
            mean = np.mean([result["core_seconds"] for result in results])
            seconds = f"{mean:.0f}" if mean >= 100 else f"{mean:.3g}"
            numbers = [shown(results, key, column) for key, column in table.columns.items()]
            rows.append([f"**{name}**", str(len(results)), *numbers, seconds, "here"])
    return grid(head, rows)


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of cells."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def spread(results: Sequence[Mapping[str, Any]], key: str, decimals: int) -> str:
    """Interquartile mean [95 % interval] of a number over seeds; empty where the row has no such number.

    Where it is not finite on some seeds, says of how many it speaks.
    """
    found = [result["numbers"][key] for result in results if key in result["numbers"]]
    values = [value for value in found if value is not None]
    of = f" ({len(values)} of {len(found)} seeds)" if values and len(values) < len(found) else ""
    return intervals.shown(values, decimals) + of


def median_and_worst(results: Sequence[Mapping[str, Any]], key: str, decimals: int, better: str) -> str:
    """Median of a number over seeds, and in brackets the worst; empty where the row has no such number.

    A seed whose number is not finite is worse than all others.
    """
    sign = 1 if better == "lower" else -1
    found = [result["numbers"][key] for result in results if key in result["numbers"]]
    if not found:
        return ""
    badness = [math.inf if value is None else sign * value for value in found]
    middle, worst = (
        "not finite" if math.isinf(number) else f"{sign * number:.{decimals}f}"
        for number in (statistics.median(badness), max(badness))
    )
    return f"{middle} ({worst})" if len(found) > 1 else middle


def shown(results: Sequence[Mapping[str, Any]], key: str, column: Column) -> str:
    """A number of several seeds as its column shows it."""
    if column.better is None:
        return spread(results, key, column.decimals)
    return median_and_worst(results, key, column.decimals, column.better)


def picture_name(row: str) -> str:
    """A row's name as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "_", row.lower()).strip("_")


def _line(table: Table, row: Row, results: Sequence[Mapping[str, Any]]) -> str:
    having = {key: column for key, column in table.columns.items() if key in results[-1]["numbers"]}
    return ", ".join(f"{column.heading} {shown(results, key, column)}" for key, column in having.items())


def _result(seed: int, outcome: Outcome, core_seconds: float) -> Record:
    """One seed's entry in TABLE.json, with null for non-finite numbers, which JSON lacks.

    `core_seconds` is its share of the processor's time, or of wall-clock time, times the number of accelerators.
    """
    numbers = {key: float(value) if math.isfinite(value) else None for key, value in outcome.numbers.items()}
    curves = {key: [float(f"{value:.5g}") for value in curve] for key, curve in outcome.curves.items()}
    made = {
        "core_seconds": round(core_seconds, 2),
        **{key: value for key, value in _machine().items() if key in ("device", "jax")},
        "date": datetime.datetime.now().astimezone().date().isoformat(),
    }
    return {"seed": seed, "numbers": numbers, "curves": curves, **made}


def _spent() -> float:
    """Seconds so far, to be subtracted: of all cores that work, or of accelerators, busy or not."""
    if jax.default_backend() != "cpu":
        return time.perf_counter() * jax.device_count()
    process = psutil.Process()
    # User and system time, each process's own and that of its children that have ended.
    return sum(sum(each.cpu_times()[:4]) for each in (process, *process.children(recursive=True)))


def _machine() -> Record:
    return {
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        "jax": importlib.metadata.version("jax"),
        "commit": commit(),
    }
