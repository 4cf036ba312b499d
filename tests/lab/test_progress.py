import contextlib
import os
import pty
import re
import subprocess
import sys
import termios
import time

import pytest

from gan_jax.lab import progress
from gan_jax.lab.progress import Progress, counted

_PROGRAM = """
import time
from gan_jax.lab.progress import Progress, counted
with Progress(1000, what="run wgan", initial=200) as bar:
    with bar.doing("compiling"):
        time.sleep(2.2)
    for _ in range(8):
        time.sleep(.1)
        bar.advance(50, "D 0.1234, G -0.5678, W 0.9012, D(x) 0.1234, D(G(z)) 0.5678, and still more")
    bar.say("step 600: saved")
"""


def _on_a_terminal(program: str, columns: int) -> str:
    """What a program writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24 if columns else 0, columns))
    written = b""
    with subprocess.Popen([sys.executable, "-c", program], stdout=theirs, stderr=theirs, stdin=theirs) as process:
        os.close(theirs)
        # Linux says EIO where the other end is closed.
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 4096):
                written += piece
    os.close(ours)
    assert process.returncode == 0
    return written.decode()


@pytest.mark.parametrize("columns", [80, 0])
def test_a_terminal_has_one_line_that_fits_it(columns: int) -> None:
    """Of 80 columns where it does not say how many it has."""
    written = _on_a_terminal(_PROGRAM, columns)
    shown = [line.strip() for line in re.split(r"[\r\n]|\x1b\[A", written)]
    assert max(map(len, shown)) <= 80
    assert "run wgan: compiling ..." in shown and "run wgan: compiling ... 2 s" in shown
    bars = [line for line in shown if "step/s" in line]
    assert "%|" in bars[-1] and "D 0.1234" in bars[-1]
    assert shown[-2:] != [] and "step 600: saved" in shown


def test_the_rate_and_the_time_left_leave_out_what_else_was_done() -> None:
    written = _on_a_terminal(_PROGRAM, 120)
    rates = [float(rate) for rate in re.findall(r"([\d.]+)step/s", written)]
    # 50 steps in a tenth of a second, as far as the machine is free; with the compilation it would be 180 at most.
    assert 200 < rates[-1] <= 500


def test_without_a_terminal_lines_are_few(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_WITHOUT_A_LINE", 0.05)
    with Progress(100, what="run wgan") as bar:
        with bar.doing("compiling"):
            time.sleep(0.3)
        bar.advance(50)
        bar.say("step 50: D 0.1")
        monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", -1)
        bar.advance(10)
    output, errors = capfd.readouterr()
    assert output == "step 50: D 0.1\n"
    assert re.fullmatch(r"run wgan: compiling\nrun wgan: 60/100 steps, 00:00 left\n", errors)


def test_one_is_in_the_singular(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = [counted(count, "held-out image") for count in (0, 1, 2, 1000)]
    assert found == ["0 held-out images", "1 held-out image", "2 held-out images", "1,000 held-out images"]
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", -1)
    with Progress(1, what="run wgan") as bar:
        bar.advance(1)
    assert capfd.readouterr().err == "run wgan: 1/1 step, 00:00 left\n"


def test_without_a_terminal_what_is_over_at_once_has_no_line(capfd: pytest.CaptureFixture[str]) -> None:
    with Progress(100, what="run wgan") as bar, bar.doing("compiling"):
        pass
    assert capfd.readouterr() == ("", "")


def test_one_of_several_processes_is_quiet(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_WITHOUT_A_LINE", 0)
    with Progress(100, what="run wgan", quiet=True) as bar, bar.doing("compiling"):
        time.sleep(0.1)
    assert capfd.readouterr() == ("", "")


def test_a_closed_standard_error_is_no_error() -> None:
    program = f"import sys; assert sys.stderr is None\n{_PROGRAM}".replace("2.2", "0")
    shell = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" 2>&-', sys.executable, program], stdout=subprocess.PIPE, text=True
    )
    assert (shell.returncode, shell.stdout) == (0, "step 600: saved\n")


def test_what_need_not_be_done_counts_as_done_and_in_no_rate(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep's members that diverged, or what an earlier start has trained."""
    with Progress(1000, what="sweep") as bar:
        bar.skip(900)
        monkeypatch.setattr(bar, "_started", bar._started - 10)
        monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", -1)
        bar.advance(50)
    # 50 steps took ten seconds, and there are 50 more; of 950 steps in ten seconds there would be half a second left.
    assert re.search(r"sweep: 950/1,000 steps, 00:(09|10) left\n$", capfd.readouterr().err)


def test_what_need_not_be_done_is_no_speed_on_a_terminal_either() -> None:
    program = _PROGRAM.replace("for _ in range(8):", "bar.skip(400)\n    for _ in range(8):")
    written = _on_a_terminal(program, 120)
    rates = [float(rate) for rate in re.findall(r"([\d.]+)step/s", written)]
    assert rates and rates[-1] <= 500
    assert "1000/1000" in written
