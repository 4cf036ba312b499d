"""Signals that stop a command: answered with a sentence at once, even while the main thread is inside XLA."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def stop_signals(sentence: str) -> Iterator[list[int]]:
    """Collects SIGINT, SIGTERM and SIGHUP; the first is answered with the sentence, the second ends the process.

    The work stops where it next looks at what was received, and saves. A second signal ends the process with
    128 + signal, wherever it is: what is on disk by then is whole, since files only appear whole.

    Args:
      sentence: says what happens now; it goes to standard error.
    """
    received: list[int] = []
    answered: list[int] = []

    def note(number: int) -> None:
        # Whichever thread is first: the main one must not look at what was received before it is there.
        if not received:
            received.append(number)

    def answer(number: int) -> None:
        note(number)
        answered.append(number)
        if len(answered) > 1:
            os._exit(128 + number)
        _say(f"{sentence}; a second signal ends it at once")

    with _answering(answer, note):
        yield received


@contextlib.contextmanager
def leave_at_once(sentence: str, first: Callable[[], None] = lambda: None) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP print the sentence and end the process with 128 + signal, within a second.

    For work whose results are on disk already, or that leaves nothing half done.

    Args:
      sentence: says why, and what is kept; it goes to standard error.
      first: what ends before the process does, such as processes that it has started; called in another thread.
    """

    def answer(number: int) -> None:
        _say(sentence)
        first()
        os._exit(128 + number)

    with _answering(answer, lambda number: None):
        yield


@contextlib.contextmanager
def _answering(answer: Callable[[int], None], note: Callable[[int], None]) -> Iterator[None]:
    """Calls `answer` with each signal in a thread, and `note` in the main one.

    Python runs signal handlers in the main thread, and not before it returns from XLA, which may compile for minutes.
    Its C handler writes the signal's number to a file descriptor at once, and a thread can read that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Signals are the main thread's affair, and Python lets no other one handle them.
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def listen() -> None:
        while numbers := reader.recv(1):
            # Zero says that the block is over; other numbers belong to handlers that are not ours.
            if numbers[0] == 0:
                return
            if numbers[0] in handled:
                answer(numbers[0])

    # Under nohup a hang-up is to be ignored.
    handled = [int(n) for n in _STOPPING if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
    thread = threading.Thread(target=listen, name="signals", daemon=True)
    previous: dict[int, Any] = {}
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        thread.start()
        for number in handled:
            previous[number] = signal.signal(number, lambda number, frame: note(number))
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        writer.send(b"\0")
        thread.join()
        reader.close()
        writer.close()


def _say(sentence: str) -> None:
    """Writes past Python's buffers, whose locks the main thread may hold."""
    clear = b"\r\x1b[K" if os.isatty(2) else b""
    with contextlib.suppress(OSError):  # Standard error is closed: there is nobody to tell.
        os.write(2, clear + sentence.encode(sys.getfilesystemencoding(), "replace") + b"\n")
