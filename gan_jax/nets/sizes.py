"""Which image sizes the convolutional nets take, and how many layers fit a size."""

from collections.abc import Sequence

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
        so = f"which {_shown(shape)} can't: resize or pad them to {_nearest(shape)}, the nearest size that fits"
        raise InputError(
            "convolutional nets take images [H, W, C] that can be halved until the shorter side has "
            f"{_LEAST} to {_MOST} pixels, "
            + (f"{so}, or give the nets' widths" if image else f"got {_shown(shape)}: choose nets without convolutions")
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
    if len(shape) != 3 or most_halvings(shape) < halvings:
        usual = (28, *(2**k for k in range(5, halvings + 8)))
        examples = ", ".join(f"{n} x {n}" for n in [n for n in usual if n % step == 0 and n >= 2 * step][:3])
        raise InputError(
            f"convolutional nets that change the resolution {halvings} times take images [H, W, C] whose height and "
            f"width are multiples of {step} from {2 * step} up ({examples}, ...), got {_shown(shape)}: "
            "resize or pad the images, or choose nets with fewer layers or without convolutions"
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
            f"{len(widths)} width{'s' if len(widths) > 1 else ''} ({','.join(map(str, widths))}) are of nets that "
            f"change the resolution {halvings} times, and images of {_shown(shape)} can be halved {most} times: give "
            + (few if most else "images of another size")
        )


def most_halvings(shape: Sequence[int]) -> int:
    """How often an image (H, W, C) can be halved before a side is odd, or of fewer than 4 pixels."""
    times = 0
    while all(side % 2 ** (times + 1) == 0 and side >= 2 ** (times + 2) for side in shape[:2]):
        times += 1
    return times


def _nearest(shape: Sequence[int]) -> str:
    """The size nearest to that of an image which `halvings` takes."""
    found = []
    for times in range(1, max(shape[:2]).bit_length() + 1):
        sides = [max(round(side / 2**times), _LEAST) for side in shape[:2]]
        if min(sides) > _MOST:
            sides[sides.index(min(sides))] = _MOST
        found.append([side * 2**times for side in sides])
    height, width = min(found, key=lambda sides: sum(abs(a - b) for a, b in zip(sides, shape[:2], strict=True)))
    return f"{height} x {width}"


def _shown(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
