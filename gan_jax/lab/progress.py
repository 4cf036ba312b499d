"""What a command is doing, how far it is and how long it will still take: one line on a terminal, few without one."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType

from tqdm import tqdm

# Without a terminal, what is over sooner is not worth a line.
_SECONDS_WITHOUT_A_LINE = 0.9
_SECONDS_BETWEEN_LINES = 30
_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{remaining} left, {rate_fmt}{postfix}]"


def counted(count: int, unit: str) -> str:
    """So many of something: 1 step, 2,000 steps. The unit is in the singular."""
    return f"{count:,} {unit}" + "s" * (count != 1)


class Progress(contextlib.AbstractContextManager["Progress"]):
    """The progress of a command on standard error, as a context manager.

    On a terminal it is one line, cut to its width. Elsewhere (a pipe, a log file) it is a line for what takes a
    second (`doing`) and one every half minute. Where standard error is closed it is nothing.

    Rates and the time that is left come from `advance` alone: what goes on in `doing` is left out.
    """

    def __init__(self, total: int, *, unit: str = "step", what: str, initial: int = 0, quiet: bool = False) -> None:
        """Shows nothing yet.

        Args:
          total: how many units there are.
          unit: what is counted, in the singular.
          what: what is done, in a word or two.
          initial: units that are done already.
          quiet: show nothing at all: of several processes only the first reports.
        """
        self._what, self._unit, self._quiet = what, unit, quiet or not _usable()
        self.on_terminal = not self._quiet and sys.stderr.isatty()
        # Terminals of programs may have no size; for tqdm that is no room at all.
        sized = self.on_terminal and os.get_terminal_size(sys.stderr.fileno()).columns > 0
        self._bar = tqdm(
            total=total,
            initial=initial,
            desc=what,
            unit=unit,
            disable=not self.on_terminal,
            dynamic_ncols=sized,
            ncols=None if sized else 80,
            nrows=None if sized else 24,
            bar_format=_FORMAT,
            # The mean of many dispatches: the time that is left should not jump with one that drew a picture.
            smoothing=0.05,
            leave=False,
        )
        self.n, self._total, self._initial = initial, total, initial
        self._seconds_aside, self._started = 0.0, time.monotonic()
        self._last_line = self._started

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()

    @contextlib.contextmanager
    def doing(self, what: str, *, counts: bool = False) -> Iterator[None]:
        """Shows at once what is being done, such as "compiling", and for how long.

        Args:
          what: a word or two.
          counts: whether the time belongs to the units, as where each of them takes minutes; else it is left out of
            rates and of the time that is left.
        """
        started, over = time.monotonic(), threading.Event()
        show = self._tick if self.on_terminal else self._line_after_a_while
        ticker = threading.Thread(target=show, args=(what, over, counts), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            over.set()
            ticker.join()
            if self.on_terminal:
                self._bar.bar_format = _FORMAT
                if not counts:
                    self._bar.unpause()
                self._bar.refresh()
            if not counts:
                self._seconds_aside += time.monotonic() - started

    def advance(self, n: int = 1, shown: str = "") -> None:
        """So many units are done; `shown` is a short text of numbers that stands behind the rate."""
        self.n += n
        if shown:
            self._bar.set_postfix_str(shown, refresh=False)
        self._bar.update(n)
        if not self.on_terminal and time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            seconds = time.monotonic() - self._started - self._seconds_aside
            left = (self._total - self.n) * seconds / max(self.n - self._initial, 1)
            of = counted(self._total, self._unit)
            self._line(f"{self._what}: {self.n:,}/{of}, {tqdm.format_interval(left)} left")

    def skip(self, n: int) -> None:
        """So many units need not be done: they count as done, and in no rate."""
        self.n += n
        self._initial += n
        self._bar.n += n
        if self.on_terminal:
            self._bar.initial += n
            self._bar.last_print_n += n

    def say(self, text: str) -> None:
        """Writes lines to standard output, above the bar."""
        self._last_line = time.monotonic()
        with tqdm.external_write_mode(file=sys.stdout):
            print(text, flush=True)

    def _tick(self, what: str, over: threading.Event, counts: bool) -> None:
        started = time.monotonic()
        far = "{n_fmt}/{total_fmt} [{remaining} left], " if counts else ""
        while True:
            seconds = time.monotonic() - started
            now = f"{what} ..." + (f" {seconds:.0f} s" if seconds >= 1 else "")
            self._bar.bar_format = f"{{desc}}: {far}{now.replace('{', '{{').replace('}', '}}')}"
            self._bar.refresh()
            if over.wait(1):
                return

    def _line_after_a_while(self, what: str, over: threading.Event, counts: bool) -> None:
        if not over.wait(_SECONDS_WITHOUT_A_LINE):
            self._line(f"{self._what}: {what}")

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)


def _usable() -> bool:
    """Whether standard error can be written: Python has none where it was closed at the start."""
    return sys.stderr is not None and not sys.stderr.closed
