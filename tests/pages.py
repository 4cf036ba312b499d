"""Pages of documentation as tests read them: their code, the commands in them, their links."""

import contextlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gan_jax.lab import EXPERIMENTS, Experiment
from gan_jax.lab.cli import Lab
from gan_jax.lab.commands import classifier, evaluate, export, prepare, report, run, sample, study, sweep

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))

PARSERS: Mapping[str, Any] = {"run": run.parser, "sweep": sweep.parser, "study": study._parser}
"""Commands that take the name of an experiment first."""
OTHERS: Mapping[str, Any] = {
    "sample": sample._parser,
    "evaluate": evaluate._parser,
    "prepare": prepare._parser,
    "classifier": classifier._parser,
    "report": report._parser,
    "export": export._parser,
}


def cells(page: Path) -> list[str]:
    """The Python of a page, in the order in which it is executed: cells of the guide, blocks of the README."""
    return re.findall(r"^```(?:\{code-cell\} )?python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def execute(cell: str, namespace: dict[str, Any]) -> None:
    """Executes a cell in the working directory, with the magics of notebooks that pages use."""
    first, _, rest = cell.partition("\n")
    if first.startswith("%%writefile "):
        Path(first.split()[1]).write_text(rest)
    elif first == "%%bash":
        for line in rest.splitlines():
            words = shlex.split(line)
            assert words[0] == "python"
            subprocess.run([sys.executable, *words[1:]], check=True, capture_output=True)
    else:
        exec(cell, namespace)


def typed(page: Path) -> Iterator[str]:
    """The commands that a page shows, one to a line, without comments."""
    for line in page.read_text().splitlines():
        if line.startswith("    ") and (found := re.search(r"python (-m experiments\.|mine\.py )\w+ .*", line)):
            command = found[0].split("#")[0].strip()
            yield command.removesuffix('"') if command.count('"') % 2 else command  # The end of what ssh is given.


def parse(command: str, table: Mapping[str, Experiment] = EXPERIMENTS) -> bool:
    """Reads a command as the command line does, with these experiments; False where it is none of the lab's."""
    words = shlex.split(command)
    name, *arguments = words[2:] if words[1] == "mine.py" else [words[2].removeprefix("experiments."), *words[3:]]
    lab = Lab(dict(table), "{}")
    if name in OTHERS:
        OTHERS[name](lab).parse_args(arguments)
    elif name in PARSERS and "--help" not in arguments:
        PARSERS[name](lab, arguments[0]).parse_args(arguments[1:])
    return name in OTHERS or name in PARSERS


def links(page: Path) -> list[str]:
    """What a page links to or shows that lies in the repository."""
    text = re.sub(r"^```.*?^```|`[^`]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if not re.match(r"https?:|mailto:", link)]


@contextlib.contextmanager
def importable(directory: Path) -> Iterator[None]:
    """Undoes what cells do to Python's path and modules; Python remembers what directory "." was when it was in it."""
    path, modules, found = list(sys.path), set(sys.modules), set(sys.path_importer_cache)
    with contextlib.chdir(directory):
        try:
            yield
        finally:
            sys.path[:] = path
            for place in set(sys.path_importer_cache) - found:
                del sys.path_importer_cache[place]
            for name in set(sys.modules) - modules:
                if str(getattr(sys.modules[name], "__file__", None)).startswith(str(directory)):
                    del sys.modules[name]
