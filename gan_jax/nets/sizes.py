"""Which image sizes the convolutional nets take, and how many layers fit a size."""

from collections.abc import Sequence
from typing import Any

from gan_jax.errors import InputError

# Pixels of the base's shorter side, from which the nets of a size start.
_LEAST, _MOST = 4, 7


def halvings(shape: Sequence[int]) -> int:
    """How often the nets halve images of this shape: until the shorter side has 4 to 7 pixels.

    Twice from 28 (7), three times from 32 (4) to 56 (7), four times from 64 (4) to 112, five times from 128 to 224.

    Args:
      shape: (H, W, C).

    Raises:
      InputError: it is not the shape of an image, too small, or can't be halved so often.
    """
    image = len(shape) == 3
    times = (min(shape[:2]) // _LEAST).bit_length() - 1 if image else 0
    if times < 1 or any(side % 2**times for side in shape[:2]):
        if image:
            advice = f"resize or pad them to {_nearest(shape)}, the nearest size that fits, or give the nets' widths"
        else:
            advice = "choose nets without convolutions"
        raise InputError(
            "convolutional nets take images [H, W, C] that can be halved until the shorter side has "
            f"{_LEAST} to {_MOST} pixels, got {_shown(shape)}: {advice}"
        )
    return times


def check_shape(shape: Sequence[int], halvings: int) -> tuple[int, int, int]:
    """`shape` as (H, W, C), for nets whose base has the resolution H / 2^halvings x W / 2^halvings.

    Args:
      shape: of one example.
      halvings: how many times the nets change the resolution.

    Raises:
      InputError: it is not the shape of an image, or H / 2^halvings or W / 2^halvings is not an integer of at least 2.
    """
    step = 2**halvings
    if len(shape) != 3 or any(side % step or side < 2 * step for side in shape[:2]):
        usual = (28, *(2**k for k in range(5, halvings + 8)))
        examples = ", ".join(f"{n} x {n}" for n in [n for n in usual if n % step == 0 and n >= 2 * step][:3])
        nearest = ""
        if len(shape) == 3:
            nearest = f" to {_shown([max(round(side / step), 2) * step for side in shape[:2]])}"
        raise InputError(
            f"convolutional nets that change the resolution {halvings} times take images [H, W, C] whose height and "
            f"width are multiples of {step} from {2 * step} up ({examples}, ...), got {_shown(shape)}: "
            f"resize or pad the images{nearest}, or choose nets with fewer layers or without convolutions"
        )
    height, width, channels = shape
    return height, width, channels


def check_widths(shape: Sequence[int], widths: Sequence[int], halvings: int) -> None:
    """Checks that an image can be halved as often as nets of these widths do.

    Raises:
      InputError: it can't.
    """
    most = most_halvings(shape)
    if not 1 <= halvings <= most:
        spare = len(widths) - halvings
        few = f"{1 + spare} to {most + spare} widths" if most > 1 else f"{1 + spare} width{'s' if spare else ''}"
        raise InputError(
            f"widths {','.join(map(str, widths))} are of nets that change the resolution {halvings} times, and images "
            f"of {_shown(shape)} can be halved {most} times at most: give "
            + (few if most else "images of another size")
        )


def most_halvings(shape: Sequence[int]) -> int:
    """How often an image (H, W, C) can be halved before a side is odd, or of fewer than 4 pixels."""
    times = 0
    while all(side % 2 ** (times + 1) == 0 and side >= 2 ** (times + 2) for side in shape[:2]):
        times += 1
    return times


def _nearest(shape: Sequence[int]) -> str:
    """The size nearest to that of an image which `halvings` takes; of several the one most like it in proportions."""
    height, width = shape[:2]
    found: list[tuple[int, int]] = []
    for step in (2**times for times in range(1, max(height, width).bit_length() + 1)):
        rows, columns = ({max(side // step, _LEAST), max(-(-side // step), _LEAST), _MOST} for side in (height, width))
        found += [(h * step, w * step) for h in rows for w in columns if min(h, w) <= _MOST]

    def unlike(size: tuple[int, int]) -> tuple[Any, ...]:
        return abs(size[0] - height) + abs(size[1] - width), abs(size[0] * width - size[1] * height), size

    nearest = min(found, key=unlike)
    return _shown(nearest)


def _shown(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
