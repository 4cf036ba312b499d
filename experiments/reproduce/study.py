"""What a table is, and how it is made: results kept as soon as they are there, then JSON and Markdown.

A table has rows of others, as they were published, and rows of ours. A row of ours is a measurement of seeds, several
at once where there are devices for it. Its settings stand beside the results in TABLE.json: a result found there under
the same settings is not computed again, so a table that was interrupted goes on. (What the code itself decides is in no
setting: after a change of it, delete the file.)
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

from experiments import cli
from experiments.rundir import write_whole
from gan_jax import images
from gan_jax.errors import InputError

Budget = Literal["full", "small"]
Record = dict[str, Any]


class Outcome(NamedTuple):
    """What one seed gave.

    Attributes:
      numbers: by column.
      curves: numbers along training, by name.
      picture: uint8 RGB `[H, W, 3]`, of which the first seed's is kept as TABLE-ROW.png, ROW in lower case.
    """

    numbers: Mapping[str, float]
    curves: Mapping[str, Sequence[float]] = {}
    picture: np.ndarray | None = None


class Row(NamedTuple):
    """A row of ours.

    Attributes:
      name: a short one, also of its picture's file.
      settings: what may be tuned in it, as JSON holds it.
      measure: `seeds -> what each of them gave`.
      seeds: which are to be measured.
      at_once: how many of them one call of `measure` takes, and an interruption may cost.
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


def make(
    name: str, table: Table, command: str, out: Path, document: Path | None = None, *, say: Callable[[str], None]
) -> None:
    """Measures what TABLE.json in `out` does not hold yet; writes it, TABLE.md and pictures after every result.

    Args:
      name: of the files.
      table: what to measure.
      command: what was typed, for the record.
      out: directory of the files; made if there is none.
      document: a Markdown file with a place for the lines of this table (`include`), None for none.
      say: is told every result.

    Raises:
      InputError: there is a TABLE.json that is not one, the document has no such place, or something can't be written.
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
        _write(name, table, record, out, document)
        for row in table.rows:
            results = record["rows"][row.name]["results"]
            missing = [seed for seed in row.seeds if seed not in [result["seed"] for result in results]]
            for start in range(0, len(missing), row.at_once):
                seeds = missing[start : start + row.at_once]
                started = time.perf_counter()
                outcomes = row.measure(seeds)
                core_seconds = (time.perf_counter() - started) * cli.cores() / len(seeds)
                for seed, outcome in zip(seeds, outcomes, strict=True):
                    if outcome.picture is not None and seed == row.seeds[0]:
                        images.save_png(out / f"{name}-{picture_name(row.name)}.png", outcome.picture)
                    results.append(_result(seed, outcome, core_seconds))
                results.sort(key=lambda result: result["seed"])
                _write(name, table, record, out, document)
                say(f"{row.name}, {len(results)} of {len(row.seeds)} seeds: {_line(table, row, results)}")
    except OSError as error:
        raise InputError(f"{out} can't be written ({error.strerror}): name a directory of yours with --out") from error


def markdown(table: Table, record: Mapping[str, Any]) -> str:
    """Title, `lines`, how they were made, and the note."""
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
    head = ["", "seeds", *(column.heading for column in table.columns.values()), "core s a seed", "source"]
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


def include(document: Path, name: str, table: str) -> None:
    """Puts a table into a document, between its comments `<!-- table NAME -->` and `<!-- end of NAME -->`.

    Raises:
      InputError: the document can't be read or written, or does not have these comments once each.
    """
    first, last = f"<!-- table {name} -->", f"<!-- end of {name} -->"
    try:
        before, *after = re.split(f"{first}.*?{last}", document.read_text(), flags=re.DOTALL)
        if len(after) != 1:
            raise InputError(f"{document} must have {first} and {last} once each: the table goes between them")
        write_whole(document, f"{before}{first}\n\n{table}\n\n{last}{after[0]}")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(f"{document} can't be read and written ({reason}): name another --include") from error


def spread(results: Sequence[Mapping[str, Any]], key: str, decimals: int) -> str:
    """Mean ± standard deviation of a number over seeds; nothing where the row has no such number."""
    values = [result["numbers"][key] for result in results if result["numbers"].get(key) is not None]
    if not values:
        return ""
    mean = f"{np.mean(values):.{decimals}f}"
    return f"{mean} ± {np.std(values, ddof=1):.{decimals}f}" if len(values) > 1 else mean


def picture_name(row: str) -> str:
    """A row's name as a part of a file's."""
    return re.sub(r"[^a-z0-9]+", "_", row.lower()).strip("_")


def _line(table: Table, row: Row, results: Sequence[Mapping[str, Any]]) -> str:
    having = {key: column for key, column in table.columns.items() if key in results[-1]["numbers"]}
    return ", ".join(f"{column.heading} {spread(results, key, column.decimals)}" for key, column in having.items())


def _result(seed: int, outcome: Outcome, core_seconds: float) -> Record:
    """One seed's entry in TABLE.json, which has no word for numbers that are not finite.

    `core_seconds` is its share of the wall clock times the cores that the command had, busy or not.
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
        raise InputError(f"{file} is not the record of a table ({error!r}): name another --out") from error
    return rows


def _write(name: str, table: Table, record: Record, out: Path, document: Path | None) -> None:
    if document is not None:
        include(document, name, lines(table, record))
    write_whole(out / f"{name}.json", json.dumps(record, indent=1) + "\n")
    write_whole(out / f"{name}.md", markdown(table, record))
    if table.plot is not None and any(row["results"] for row in record["rows"].values()):
        table.plot({key: row["results"] for key, row in record["rows"].items()}, out / f"{name}.png")


def _machine() -> Record:
    return {
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        "jax": importlib.metadata.version("jax"),
    }
