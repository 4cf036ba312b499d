import jax
import numpy as np
import pytest

from gan_jax.errors import InputError
from gan_jax.lab.runs import layout

# The session has eight virtual CPU devices.


def test_a_cpu_trains_on_one_device_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert layout.chosen(None, 64).devices == 1
    assert layout.chosen(1, 64).mesh is None
    assert layout.chosen("all", 64).devices == 8
    assert layout.chosen(4, 100).devices == 4
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert layout.chosen(None, 64).devices == 8


def test_an_accelerators_devices_are_used_as_far_as_they_divide_the_minibatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    chosen = layout.chosen(None, 100)
    assert chosen.devices == 5
    assert chosen.note == (
        "training on 5 of 8 devices: a minibatch of 100 can't be divided equally between 8 devices, one of 96 or 104 "
        "could"
    )
    assert layout.chosen(None, 7).devices == 7
    assert layout.chosen(None, 11).devices == 1
    assert layout.chosen(None, 48, 3).devices == 8
    assert layout.chosen(None, 16, 4).devices == 4


@pytest.mark.parametrize(
    ("asked", "batch_size", "accumulate", "fixed", "sentence"),
    [
        (9, 64, 1, False, "--devices 9: there are only 8 devices, ask for no more"),
        (8, 100, 1, False, "a minibatch of 100 can't be divided equally between 8 devices: choose --batch-size 96 or "
         "104, or --devices 5"),
        ("all", 6, 1, False, "between 8 devices: choose --batch-size 8, or --devices 6"),
        (8, 40, 2, False, "between 8 devices, in 2 parts each: choose --batch-size 32 or 48, or --devices 5"),
        (3, 64, 1, True, "between 3 devices: choose --devices 8"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused_with_what_could(
    asked: int, batch_size: int, accumulate: int, fixed: bool, sentence: str
) -> None:
    with pytest.raises(InputError) as refused:
        layout.chosen(asked, batch_size, accumulate, fixed=fixed)
    assert sentence in str(refused.value)


def test_every_device_holds_the_whole_and_its_part_of_a_minibatch() -> None:
    chosen = layout.chosen(4, 8)
    whole, key = layout.placed((np.arange(6.0), jax.random.key(3)), chosen.whole)
    assert [shard.data.shape for shard in whole.addressable_shards] == [(6,)] * 4
    assert jax.random.key_data(key).tolist() == jax.random.key_data(jax.random.key(3)).tolist()
    chunk = layout.placed(np.arange(3 * 2 * 8).reshape(3, 2, 8), chosen.streamed)
    assert [shard.data.shape for shard in chunk.addressable_shards] == [(3, 2, 2)] * 4
    assert np.array_equal(chunk, np.arange(48).reshape(3, 2, 8))
