"""Raw data as training takes it."""

from typing import Any, NamedTuple


class Examples(NamedTuple):
    """Raw data: x uint8 images `[..., H, W, C]` or float32 points `[..., D]`, labels int32 `[...]` or None."""

    x: Any
    labels: Any = None
