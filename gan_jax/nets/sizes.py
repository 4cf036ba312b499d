"""Which image sizes the convolutional nets take."""

from collections.abc import Sequence

from gan_jax.errors import InputError


def check_shape(shape: Sequence[int], halvings: int) -> tuple[int, int, int]:
    """`shape` as (H, W, C), for nets whose base has the resolution H / 2^halvings x W / 2^halvings.

    Args:
      shape: of one example.
      halvings: how many times the nets change the resolution.

    Raises:
      InputError: it is not the shape of an image, or H / 2^halvings or W / 2^halvings is not an integer of at least 2.
    """
    step = 2**halvings
    if len(shape) != 3 or not all(_fits(n, step) for n in shape[:2]):
        usual = (28, *(2**k for k in range(5, halvings + 8)))
        examples = ", ".join(f"{n} x {n}" for n in [n for n in usual if _fits(n, step)][:3])
        raise InputError(
            f"convolutional nets that change the resolution {halvings} times take images [H, W, C] whose height and "
            f"width are multiples of {step} from {2 * step} up ({examples}, ...), got {' x '.join(map(str, shape))}: "
            "resize or pad the images, or choose nets with fewer layers or without convolutions"
        )
    height, width, channels = shape
    return height, width, channels


def _fits(size: int, step: int) -> bool:
    return size % step == 0 and size >= 2 * step
