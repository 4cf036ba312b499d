"""What is printed costs no command its work: output that is closed, full, slow, or can't hold the letters."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gan_jax.lab import streams

# The module alone: the package around it takes seconds to import.
_IMPORT = f"""
import importlib.util, os, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("streams", {streams.__file__!r})
streams = importlib.util.module_from_spec(spec)
spec.loader.exec_module(streams)
unbroken = streams.unbroken
"""

_SPEAK = (
    _IMPORT
    + """
with unbroken("run"):
    for _ in range(200):
        print("x" * 1000, flush=True)
    print("and an error", file=sys.stderr)
    with open("file", "w") as file:
        Path("done").write_text(f"{file.fileno()} {os.readlink('/proc/self/fd/2')}")
    sys.exit(CODE)
"""
)


def _spoken(redirection: str, folder: Path, *, code: object = 0, script: str = _SPEAK) -> tuple[int, str, str]:
    """Exit code, output and error of the script under a shell's redirection; it has come to its end."""
    script = script.replace("CODE", repr(code))
    shell = ["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, script]
    done = subprocess.run(shell, cwd=folder, capture_output=True, text=True)
    assert (folder / "done").exists(), done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("code", "expected"), [(0, 1), (None, 1), (2, 2), (130, 130)])
def test_a_full_disk_under_standard_output_is_one_sentence_and_a_code_at_the_end(
    code: int | None, expected: int, tmp_path: Path
) -> None:
    status, _, error = _spoken(">/dev/full", tmp_path, code=code)
    assert status == expected
    assert error == (
        "and an error\nrun: standard output can't be written (No space left on device): send it elsewhere\n"
    )


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize("code", [0, 2])
def test_what_is_closed_or_only_for_errors_changes_nothing(redirection: str, code: int, tmp_path: Path) -> None:
    status, output, error = _spoken(redirection, tmp_path, code=code)
    assert status == code
    assert len(output) == (0 if " >&-" in f" {redirection}" else 200 * 1001)
    assert error == ("" if "2>" in redirection else "and an error\n")
    # What others print to standard error must not go into the next file that is opened.
    number, of_errors = (tmp_path / "done").read_text().split()
    assert int(number) > 2
    assert of_errors == "/dev/null" or "2>&-" not in redirection


def test_a_reader_that_has_left_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", _SPEAK.replace("CODE", "0")]
    done = subprocess.run(command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.returncode == 0
    assert done.stderr == "and an error\n"
    assert (tmp_path / "done").exists()


def test_a_reader_that_is_slow_gets_everything(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    command = [sys.executable, "-c", _SPEAK.replace("CODE", "0")]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=writer)
    os.close(writer)
    time.sleep(1)
    with open(reader, "rb") as file:
        assert len(file.read()) == 200 * 1001
    assert process.wait() == 0


def test_letters_that_the_encoding_lacks_are_escaped(tmp_path: Path) -> None:
    script = """
with unbroken("run"):
    print("caf\\xe9", "caf\\udce9")
    Path("done").touch()
    sys.exit(0)
"""
    status, output, error = _spoken("", tmp_path, script=_IMPORT + script)
    assert (status, error) == (0, "")
    assert output == "café caf\\udce9\n"


@pytest.mark.slow
def test_a_run_on_a_full_disk_for_its_output_is_trained_to_its_end(tmp_path: Path) -> None:
    tiny = "--data ring --steps 2 --log-every 1 --sample-every 1 --width 4 --batch-size 4"
    command = f"{sys.executable} -m gan_jax run gan {tiny} --out a >/dev/full"
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root}
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith("run: standard output can't be written (No space left on device): send it elsewhere\n")
    assert "a can't be written" not in done.stderr
    assert (tmp_path / "a" / "checkpoints" / "2.json").exists()
