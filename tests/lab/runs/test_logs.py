import json
import struct
from pathlib import Path

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from gan_jax.lab.runs import logs


def test_a_half_written_last_line_is_passed_over_and_cut_off_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with logs.appending(path) as log:
        logs.write(log, 1, {"d_loss": 0.5})
        logs.write(log, 2, {"d_loss": 0.1 + 0.2})
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n")
        assert list(logs.read(path)) == [1, 2][:complete]
        with logs.appending(path) as log:
            logs.write(log, 3, {"d_loss": 1.0})
        assert list(logs.read(path)) == [*[1, 2][:complete], 3]


def test_of_two_lines_with_the_same_step_the_later_one_counts(tmp_path: Path) -> None:
    with logs.appending(tmp_path / "metrics.jsonl") as log:
        for step, value in ((1, 1.0), (2, 2.0), (3, 3.0), (2, 4.0)):
            logs.write(log, step, {"g_loss": value})
    assert logs.read(tmp_path / "metrics.jsonl") == {1: {"g_loss": 1.0}, 2: {"g_loss": 4.0}, 3: {"g_loss": 3.0}}


@pytest.mark.parametrize("pieces", [[7], [1, 6], [3, 3, 1], [1] * 7])
def test_a_line_does_not_depend_on_how_the_steps_are_cut(pieces: list[int]) -> None:
    values = np.random.default_rng(0).normal(size=7).astype(np.float32)
    window = logs.Window()
    for end, length in zip(np.cumsum(pieces), pieces, strict=True):
        window = logs.added(window, {"g_loss": values[end - length : end]}, 0.5)
    expected = 0.0
    for value in values:
        expected += float(value)
    assert logs.means(window) == {"g_loss": expected / 7, "steps_per_s": 7 / (0.5 * len(pieces))}


def test_norms_of_gradients_are_averaged_over_the_steps_that_took_them() -> None:
    window = logs.added(logs.Window(), {"d_grad": np.array([2.0, -1.0, -1.0, 4.0])}, 1.0)
    window = logs.added(logs.Window(**json.loads(json.dumps(window._asdict()))), {"d_grad": np.array([-1.0])}, 1.0)
    assert logs.averages(window) == {"d_grad": 3.0}
    # Exactly 0 is a norm, and of a window that has none nothing is said.
    assert logs.averages(logs.added(logs.Window(), {"g_grad": np.array([-1.0, 0.0])}, 1.0)) == {"g_grad": 0.0}
    none = logs.added(logs.Window(), {"g_grad": np.array([-1.0]), "g_loss": np.array([-1.0])}, 1.0)
    assert logs.averages(none) == {"g_loss": -1.0}


def test_a_window_of_a_version_that_took_all_norms_goes_on() -> None:
    old = logs.Window(steps=3, seconds=1.0, sums={"d_grad": 6.0})
    assert logs.averages(logs.added(old, {"d_grad": np.array([-1.0, 6.0])}, 1.0)) == {"d_grad": 3.0}


def _events(file: Path) -> list[Event]:
    """TFRecord: a length in eight bytes and its checksum in four, so many bytes, and their checksum."""
    content, events = file.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        events.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return events


def test_tensorboard_forgets_what_a_killed_process_wrote_after_the_step_it_goes_on_from(tmp_path: Path) -> None:
    with logs.board(tmp_path / "board", 40) as write:
        write(47, {"g_loss": 0.5})
        (file,) = (tmp_path / "board").iterdir()
        version, start, scalar = _events(file)  # There at once, whatever becomes of the process.
    assert version.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (41, SessionLog.SessionStatus.START)
    assert (scalar.step, scalar.summary.value[0].tag, scalar.summary.value[0].simple_value) == (47, "g_loss", 0.5)


def test_a_picture_is_for_tensorboard_and_no_line_of_metrics(tmp_path: Path) -> None:
    with logs.logging(tmp_path, 0) as log:
        log(3, {"g_loss": 0.5})
        log(3, {"generated": np.zeros((4, 6, 3), np.uint8)})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 3, "g_loss": 0.5}\n'
    *_, scalar, picture = _events(next((tmp_path / "tensorboard").iterdir()))
    (shown,) = picture.summary.value
    assert (scalar.step, picture.step, shown.tag) == (3, 3, "generated")
    assert (shown.image.height, shown.image.width) == (4, 6)
