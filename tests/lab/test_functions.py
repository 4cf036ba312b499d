from pathlib import Path

import pytest

from gan_jax.errors import InputError
from gan_jax.lab import functions


def test_a_function_is_found_in_a_file_and_in_a_module_beside_which_the_command_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "functions_of_mine.py").write_text("def double(x):\n    return 2 * x\n")
    monkeypatch.chdir(tmp_path)
    for text in (f"{tmp_path}/functions_of_mine.py:double", "functions_of_mine:double"):
        assert functions.load(text, "--tracker", "x")(21) == 42


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nowhere_at_all:log", "No module named"),
        ("json:nothing", "no attribute 'nothing'"),
        ("absent.py:log", "No such file"),
        ("math:pi", "is float, not a function"),
    ],
)
def test_what_is_no_function_is_one_sentence(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=rf"^--tracker {text} .*{reason}.*: expected a form$"):
        functions.load(text, "--tracker", "a form")


@pytest.mark.parametrize("form", ["broken_of_mine.py:log", "broken_of_mine:log"])
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero, line 2 of broken_of_mine.py"),
        ("import math; math.nothing", "AttributeError: module 'math' has no attribute 'nothing', line 2 of"),
        ("undefined", "NameError: name 'undefined' is not defined, line 2 of"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines, line 2 of"),
        ("import json; json.loads('{')", "JSONDecodeError: .*, line 2 of broken_of_mine.py"),
    ],
)
def test_a_module_that_raises_is_one_sentence_with_the_line(
    form: str, code: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_of_mine.py").write_text(f"\n{code}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"^--features {form} can't be loaded \({reason}.*\): mend it$"):
        functions.load(form, "--features", "a form")
