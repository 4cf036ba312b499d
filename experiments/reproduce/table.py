"""Tables of results: what they contain, and how they are made and written, as JSON and Markdown.

A table has rows of others, as they were published, and rows of ours. A row of ours is a measurement of seeds, several
at once where there are devices for it. Its settings are saved beside the results in TABLE.json: a result found there
under the same settings is not computed again, so an interrupted table resumes. (The settings do not cover the code:
after a change of it, delete the file.)
"""

import dataclasses
import datetime
import importlib.metadata
import json
import math
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from gan_jax import images
from gan_jax.errors import InputError
from gan_jax.lab import devices
from gan_jax.lab.files import write_text
from gan_jax.lab.progress import Progress
from gan_jax.lab.runs.directory import commit
from gan_jax.lab.signals import leave_at_once

Budget = Literal["full", "small"]
Record = dict[str, Any]


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
    """

    name: str
    settings: Mapping[str, Any]
    measure: Callable[[Sequence[int]], Sequence[Outcome]]
    seeds: Sequence[int]
    at_once: int


class Published(NamedTuple):
    """A row of others: the text of every column as its source prints it."""

    name: str
    source: str
    numbers: Mapping[str, str]


class Column(NamedTuple):
    """A column: its heading, and the decimals of its numbers."""

    heading: str
    decimals: int


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
    """

    title: str
    note: str
    columns: Mapping[str, Column]
    published: Sequence[Published]
    rows: Sequence[Row]
    plot: Callable[[Mapping[str, Sequence[Record]], Path], None] | None = None


def make(name: str, table: Table, command: str, out: Path) -> None:
    """Measures what TABLE.json in `out` lacks; writes it, TABLE.md and pictures after every result.

    Args:
      name: of the files.
      table: what to measure.
      command: the command line, for the record.
      out: directory of the files; created if missing.

    Raises:
      InputError: TABLE.json is not the record of a table, or something can't be written.
    """
    file = out / f"{name}.json"
    old = _read(file)
    record: Record = {"table": name, "title": table.title, "command": command, "machine": _machine(), "rows": {}}
    for row in table.rows:
        kept = old.get(row.name, {})
        settings = json.loads(json.dumps(row.settings))
        same = kept.get("settings") == settings
        results = [result for result in kept["results"] if result["seed"] in row.seeds] if same else []
        record["rows"][row.name] = {"settings": settings, "results": results}
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write(name, table, record, out)
        missing = {
            row.name: [seed for seed in row.seeds if seed not in _seeds(record["rows"][row.name]["results"])]
            for row in table.rows
        }
        total = sum(len(row.seeds) for row in table.rows)
        done = total - sum(map(len, missing.values()))
        kept = f"interrupted; every result is in {out}, and the same command continues"
        with leave_at_once(kept), Progress(total, unit="seed", what=name, initial=done) as bar:
            for row in table.rows:
                results = record["rows"][row.name]["results"]
                for start in range(0, len(missing[row.name]), row.at_once):
                    seeds = missing[row.name][start : start + row.at_once]
                    started = time.perf_counter()
                    with bar.doing(f"{row.name}, seeds {', '.join(map(str, seeds))}", counts=True):
                        outcomes = row.measure(seeds)
                    core_seconds = (time.perf_counter() - started) * devices.cores() / len(seeds)
                    for seed, outcome in zip(seeds, outcomes, strict=True):
                        if outcome.picture is not None and seed == row.seeds[0]:
                            images.save_png(out / f"{name}-{picture_name(row.name)}.png", outcome.picture)
                        results.append(_result(seed, outcome, core_seconds))
                    results.sort(key=lambda result: result["seed"])
                    _write(name, table, record, out)
                    bar.advance(len(seeds))
                    bar.say(f"{row.name}, {len(results)} of {len(row.seeds)} seeds: {_line(table, row, results)}")
    except OSError as error:
        raise InputError(
            f"{out} can't be written ({error.strerror}): choose a writable directory with --out"
        ) from error


def markdown(table: Table, record: Mapping[str, Any]) -> str:
    """The text of TABLE.md: title, `lines`, how they were made, and the note."""
    everything = [result for row in record["rows"].values() for result in row["results"]]
    machine, seconds = record["machine"], sum(result["core_seconds"] for result in everything)
    took = f"{seconds / 60:.0f} core minutes" if seconds > 600 else f"{seconds:.0f} core seconds"
    made = (
        f"`{record['command']}`: {took} in all, {machine['device']}, jax {machine['jax']}, "
        f"finished {max(result['date'] for result in everything)}. "
        "Ours: mean ± standard deviation over seeds, with each row's settings in the JSON file beside this one."
        if everything
        else f"`{record['command']}` has no result yet."
    )
    return "\n\n".join([f"# {table.title}", lines(table, record), made, table.note]) + "\n"


def lines(table: Table, record: Mapping[str, Any]) -> str:
    """The table itself: rows of others, then ours as mean ± standard deviation over seeds."""
    head = ["", "seeds", *(column.heading for column in table.columns.values()), "core-seconds per seed", "source"]
    rows = [
        [row.name, "", *(row.numbers.get(key, "") for key in table.columns), "", row.source] for row in table.published
    ]
    for name, row in record["rows"].items():
        results = row["results"]
        if results:
            mean = np.mean([result["core_seconds"] for result in results])
            seconds = f"{mean:.0f}" if mean >= 100 else f"{mean:.3g}"
            numbers = [spread(results, key, column.decimals) for key, column in table.columns.items()]
            rows.append([f"**{name}**", str(len(results)), *numbers, seconds, "here"])
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def spread(results: Sequence[Mapping[str, Any]], key: str, decimals: int) -> str:
    """Mean ± standard deviation of a number over seeds; empty where the row has no such number."""
    values = [result["numbers"][key] for result in results if result["numbers"].get(key) is not None]
    if not values:
        return ""
    mean = f"{np.mean(values):.{decimals}f}"
    return f"{mean} ± {np.std(values, ddof=1):.{decimals}f}" if len(values) > 1 else mean


def picture_name(row: str) -> str:
    """A row's name as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "_", row.lower()).strip("_")


def _seeds(results: Sequence[Mapping[str, Any]]) -> list[int]:
    return [result["seed"] for result in results]


def _line(table: Table, row: Row, results: Sequence[Mapping[str, Any]]) -> str:
    having = {key: column for key, column in table.columns.items() if key in results[-1]["numbers"]}
    return ", ".join(f"{column.heading} {spread(results, key, column.decimals)}" for key, column in having.items())


def _result(seed: int, outcome: Outcome, core_seconds: float) -> Record:
    """One seed's entry in TABLE.json, with null for non-finite numbers, which JSON lacks.

    `core_seconds` is its share of wall-clock time, times the cores available to the command, busy or not.
    """
    numbers = {key: float(value) if math.isfinite(value) else None for key, value in outcome.numbers.items()}
    curves = {key: [float(f"{value:.5g}") for value in curve] for key, curve in outcome.curves.items()}
    date = datetime.datetime.now().astimezone().date().isoformat()
    return {"seed": seed, "numbers": numbers, "curves": curves, "core_seconds": round(core_seconds, 2), "date": date}


def _read(file: Path) -> Record:
    try:
        rows = json.loads(file.read_text())["rows"]
        needed = {"seed", "numbers", "core_seconds", "date"}
        assert all(needed <= set(result) for row in rows.values() for result in row["results"])
    except FileNotFoundError:
        return {}
    except (AssertionError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is not the record of a table ({error!r}): choose a different --out") from error
    return rows


def _write(name: str, table: Table, record: Record, out: Path) -> None:
    write_text(out / f"{name}.json", json.dumps(record, indent=1) + "\n")
    write_text(out / f"{name}.md", markdown(table, record))
    if table.plot is not None and any(row["results"] for row in record["rows"].values()):
        table.plot({key: row["results"] for key, row in record["rows"].items()}, out / f"{name}.png")


def _machine() -> Record:
    return {
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        "jax": importlib.metadata.version("jax"),
        "commit": commit(),
    }
