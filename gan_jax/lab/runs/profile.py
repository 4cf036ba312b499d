"""A trace of a few train steps, for TensorBoard and Perfetto: where the time of a step goes, operation by operation."""

import contextlib
import shlex
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import jax


class Profile(contextlib.AbstractContextManager["Profile"]):
    """Traces the first steps of a session, but for one that warms up; a trace that is not over ends with the block."""

    def __init__(self, directory: Path, steps: int, session: int, say: Callable[[str], None] | None) -> None:
        """Traces nothing yet.

        Args:
          directory: where the trace goes.
          steps: how many to trace, 0 for none.
          session: how many the session is to take.
          say: tells the user where it lies; None in a process that does not trace, and only counts along.
        """
        self._directory, self._say = directory, say
        self._left = min(steps, session)
        self._warm_up, self._tracing = session > steps, False
        self._first = self._last = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._tracing:
            self._stop()

    def steps(self, step: int, n: int) -> int:
        """How many of n steps from `step` on to take in the next dispatch; where they are traced, that begins now."""
        if not self._left:
            return n
        if self._warm_up:
            self._warm_up = False
            return 1
        if not self._tracing:
            self._tracing, self._first = True, step + 1
            if self._say is not None:
                jax.profiler.start_trace(self._directory)
        return min(n, self._left)

    def taken(self, step: int, n: int) -> None:
        """So many steps are taken, up to `step`."""
        if self._tracing:
            self._left -= n
            self._last = step
            if self._left <= 0:
                self._stop()

    def _stop(self) -> None:
        self._tracing, self._left = False, 0
        if self._say is None:
            return
        jax.profiler.stop_trace()
        traces = self._directory.rglob("*.trace.json.gz")
        trace = max(traces, default=self._directory, key=lambda file: file.stat().st_mtime)
        self._say(
            f"traced steps {self._first} to {self._last}: tensorboard --logdir {shlex.quote(str(self._directory))} "
            f"(after pip install tensorboard xprof), or open {trace} at https://ui.perfetto.dev"
        )
