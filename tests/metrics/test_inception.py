from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import InputError
from gan_jax.metrics import inception, torch_file
from gan_jax.nets import inception as network


def test_it_is_resized_as_by_hand() -> None:
    def line(values: list[float], size: int) -> list[float]:
        x = jnp.asarray(values, jnp.float32)
        across = inception.resized(x[None, None, :, None], (1, size))[0, 0, :, 0]
        down = inception.resized(x[None, :, None, None], (size, 1))[0, :, 0, 0]
        np.testing.assert_array_equal(across, down)
        return across.tolist()

    # Pixel i is taken at i * old / new: the first stays, the last is repeated, and nothing is averaged.
    assert line([0, 8], 4) == [0, 4, 8, 8]
    assert line([0, 8, 100], 6) == [0, 4, 8, 54, 100, 100]
    assert line([0, 10, 20, 30], 2) == [0, 20]
    assert line([0, 10, 40], 2) == [0, 25]
    assert line([1, 2, 3], 3) == [1, 2, 3]
    assert line([7], 3) == [7, 7, 7]


def test_rows_and_columns_and_channels_are_not_mixed_up() -> None:
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 2)).astype(np.float32)
    found = inception.resized(jnp.asarray(x), (6, 10))
    np.testing.assert_array_equal(found[:, ::2, ::2], x)
    np.testing.assert_array_equal(found[:, 1:4:2, ::2], (x[:, :-1] + x[:, 1:]) / 2)


def test_pixels_become_numbers_around_zero_and_grey_is_three_colours() -> None:
    x = np.zeros((1, 299, 299, 1), np.uint8)
    x[0, 0, :3, 0] = 128, 255, 64
    found = inception.prepared(jnp.asarray(x))
    assert found.shape == (1, 299, 299, 3)
    np.testing.assert_array_equal(found[0, 0, :4, 1], [0, 127 / 128, -0.5, -1])
    np.testing.assert_array_equal(found[..., 0], found[..., 2])
    with pytest.raises(ValueError, match="got 4 channels"):
        inception.prepared(jnp.zeros((1, 8, 8, 4), jnp.uint8))


def test_averages_leave_padding_out_and_the_last_pool_takes_the_largest() -> None:
    x = jnp.asarray([[0.0, 6, 12], [18, 24, 30], [36, 42, 48]])[None, :, :, None]
    mean = network._averaged(x)[0, :, :, 0]
    # A corner is the mean of four pixels, an edge of six.
    np.testing.assert_allclose(mean, [[12, 15, 18], [21, 24, 27], [30, 33, 36]], rtol=1e-6)
    np.testing.assert_array_equal(network._largest(x)[0, :, :, 0], [[24, 30, 30], [42, 48, 48], [42, 48, 48]])
    np.testing.assert_array_equal(network._largest(-x)[0, :, :, 0], [[0, 0, -6], [0, 0, -6], [-18, -18, -24]])


@pytest.fixture(scope="module")
def expected() -> Mapping[str, Any]:
    return inception._expected()


def test_the_network_is_inceptions(expected: Mapping[str, Any]) -> None:
    """Keras counts as many numbers that are trained in its InceptionV3 without a top, which has no scales either."""
    assert len(expected) == 94
    assert sum(kernel.size + bias.size for kernel, bias in expected.values()) == 21_768_352
    image = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)
    params = jax.eval_shape(network.Inception().init, jax.random.key(0), image)
    found = jax.eval_shape(network.Inception().apply, params, image)
    assert {name: value.shape for name, value in found.items()} == {
        n: (2, int(n)) for n in ("64", "192", "768", "2048")
    }


def _arrays(expected: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What the usual file has, all zeros; of broadcast zeros, which take no memory."""
    zeros = lambda shape: np.broadcast_to(np.float32(0), shape)  # noqa: E731
    found = {"fc.weight": zeros((1008, 2048)), "fc.bias": zeros((1008,))}
    for name, (kernel, bias) in expected.items():
        height, width, inputs, outputs = kernel.shape
        found[f"{name}.conv.weight"] = zeros((outputs, inputs, height, width))
        found |= {f"{name}.bn.{kind}": zeros(bias.shape) for kind in ("weight", "bias", "running_mean", "running_var")}
        found[f"{name}.bn.num_batches_tracked"] = np.array(0)
    return found


def test_normalisation_becomes_part_of_the_convolutions(
    expected: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays, name = _arrays(expected), "Mixed_6b.branch7x7_2"
    rng = np.random.default_rng(0)
    own = {
        kind: rng.uniform(0.5, 2, arrays[f"{name}.{kind}"].shape).astype(np.float32)
        for kind in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    }
    arrays |= {f"{name}.{kind}": array for kind, array in own.items()}
    monkeypatch.setattr(torch_file, "read", lambda _: arrays)
    params = inception.parameters("a.pth")
    found = params["Mixed_6b"]["branch7x7_2"]["conv"]
    pixels = rng.normal(size=(7, 128))  # Under a kernel of one row and seven columns.
    response = np.einsum("kc,ock->o", pixels, own["conv.weight"][:, :, 0])
    truth = (response - own["bn.running_mean"]) / np.sqrt(own["bn.running_var"] + 1e-3) * own["bn.weight"] + own[
        "bn.bias"
    ]
    assert found["kernel"].shape == (1, 7, 128, 128)
    np.testing.assert_allclose(np.einsum("kc,kco->o", pixels, found["kernel"][0]) + found["bias"], truth, rtol=1e-4)
    assert not params["Conv2d_1a_3x3"]["conv"]["bias"].any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Mixed_5b.branch1x1.bn.bias": None}, "Mixed_5b.branch1x1.bn.bias is missing"),
        ({"AuxLogits.conv0.conv.weight": np.zeros(1)}, "AuxLogits.conv0.conv.weight is not of it"),
        (
            {"fc.weight": np.zeros((1000, 2048), np.float32)},
            r"fc.weight should be \[1008, 2048\], and is \[1000, 2048\]",
        ),
        ({"fc.weight": None}, "and is none"),
        ({"Mixed_7c.branch_pool.conv.weight": np.zeros((192, 2048, 3, 3))}, "Mixed_7c.branch_pool are of other shapes"),
        ({"Mixed_7c.branch_pool.conv.weight": np.zeros(4)}, "Mixed_7c.branch_pool are of other shapes"),
        ({"Mixed_7c.branch_pool.bn.bias": np.zeros(3)}, "Mixed_7c.branch_pool are of other shapes"),
        ({"Conv2d_1a_3x3.bn.bias": np.full(32, np.nan)}, "Conv2d_1a_3x3 are not finite"),
    ],
)
def test_a_file_of_another_layout_is_one_sentence(
    change: dict[str, Any], words: str, expected: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = {name: array for name, array in (_arrays(expected) | change).items() if array is not None}
    monkeypatch.setattr(torch_file, "read", lambda _: arrays)
    monkeypatch.setattr(inception, "_expected", lambda: expected)
    with pytest.raises(InputError, match=words) as info:
        inception.parameters(Path("a.pth"))
    assert str(info.value).startswith("a.pth is of another network") and "\n" not in str(info.value)
