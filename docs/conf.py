"""How Sphinx builds the guide: sphinx-build -W --keep-going docs build/docs.

Code of the pages and of the tour is executed in temporary directories, by kernels that import this very tree.
Docstrings are plain text with Markdown's backticks, which `_as_rst` turns into what autodoc reads.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
os.environ.setdefault("JAX_PLATFORMS", "cpu")

project = "gan_jax"
author = "The gan_jax authors"
copyright = f"2026, {author}"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["benchmark/**.md", "scaling/*.md"]  # Included by performance.md.
highlight_language = "none"

html_theme = "sphinx_book_theme"
html_title = "gan_jax"
html_theme_options = {"show_toc_level": 2, "home_page_in_toc": True}

myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_typehints = "none"  # Docstrings give shapes and ranges.
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_custom_sections = [("Keys", "Attributes")]


def _inline(line: str) -> str:
    """Text outside backticks is taken as it is, text inside is code."""
    parts = line.split("`")
    if len(parts) % 2 == 0:  # A code span goes on in the next line.
        return re.sub(r"([*|`_\\])", r"\\\1", line)
    texts = [re.sub(r"([*|\\]|_(?!\w))", r"\\\1", text) for text in parts]
    texts[1::2] = [f"``{code}``" for code in parts[1::2]]
    return "".join(texts)


def _as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings as reStructuredText: indented code and tables become literal blocks."""
    found: list[str] = []
    block, margin = False, 0
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        after_blank = i > 0 and not lines[i - 1].strip()
        table = line.lstrip().startswith("|") and line.rstrip().endswith("|")
        if block and line.strip() and (indent <= margin and not table):
            block = False
            found.append("")
        elif not block and line.strip() and after_blank and (indent >= margin + 4 or table):
            block = True
            found += [" " * margin + "::", ""]
        if not block and line.strip():
            margin = indent
        prefix = " " * 4 if block and indent <= margin else ""
        found.append(prefix + line if block else _inline(line))
    lines[:] = found


def _is_field(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Fields of named tuples are described by the class."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Any) -> None:
    """Connects the two, the first before napoleon's own, which reads sections."""
    app.connect("autodoc-process-docstring", _as_rst, priority=400)
    app.connect("autodoc-skip-member", _is_field)
