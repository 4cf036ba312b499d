import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from gan_jax.lab.signals import stop_signals
from tests.helpers import few

# One long call of C that holds no lock, as XLA's compilation is: Python runs no handler before it returns.
_BUSY = """
from gan_jax.lab.signals import leave_at_once, stop_signals
with {block} as received:
    print("ready", flush=True)
    {work}
    print("saved", *received, flush=True)
"""
_LONG = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 20_000_000)"


@contextlib.contextmanager
def _process(block: str, work: str) -> Iterator[subprocess.Popen[str]]:
    program = [sys.executable, "-c", _BUSY.format(block=block, work=work)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_answered_while_c_code_runs_and_the_second_ends_it(number: int) -> None:
    with _process("stop_signals('stopping')", _LONG) as process:
        process.send_signal(number)
        assert process.stderr is not None and process.stdout is not None
        assert process.stderr.readline() == "stopping; a second signal ends it at once\n"
        process.send_signal(number)
        assert process.wait(timeout=60) == 128 + number
        assert process.stdout.read() == ""  # The long call had not returned.


def test_after_the_first_signal_the_work_goes_on_to_where_it_saves() -> None:
    with _process("stop_signals('stopping')", "while not received: pass") as process:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, f"saved {int(signal.SIGTERM)}\n")


@pytest.mark.parametrize("number", few([signal.SIGINT, signal.SIGTERM, signal.SIGHUP], signal.SIGINT, signal.SIGHUP))
def test_what_leaves_at_once_says_why(number: int) -> None:
    with _process("leave_at_once('interrupted: kept what was measured')", _LONG) as process:
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
        assert (process.returncode, errors) == (0, "")  # As under nohup, where the child inherits it.
    else:
        assert (process.returncode, output, errors) == (128 + number, "", "interrupted: kept what was measured\n")


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.set_wakeup_fd(-1)
    with stop_signals("stopping"):
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.set_wakeup_fd(-1)) == before


def test_in_another_thread_signals_are_left_to_the_main_one() -> None:
    before, found = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with stop_signals("stopping") as received:
            found.append((signal.getsignal(signal.SIGINT), list(received)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(before, [])]


def test_what_was_started_ends_before_one_leaves() -> None:
    with _process("leave_at_once('stopped', lambda: print('first', flush=True))", _LONG) as process:
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (128 + signal.SIGTERM, "first\n", "stopped\n")
