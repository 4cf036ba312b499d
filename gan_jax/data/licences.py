"""Who made the data that has a name, and under which licence."""

from collections.abc import Mapping

_OWN = "made by gan_jax, MIT as its code"

LICENCES: Mapping[str, str] = {
    "mnist": "Y. LeCun, C. Cortes and C. J. C. Burges, CC BY-SA 3.0",
    "stacked": "MNIST, by Y. LeCun, C. Cortes and C. J. C. Burges, CC BY-SA 3.0",
    "ring": _OWN,
    "grid": _OWN,
    "shapes": _OWN,
    "robots": "robots by Zikri Kader (robohash.org), CC-BY 3.0",
}
"""By the kind of a spec."""


def of(spec: str) -> str | None:
    """The makers and the licence of the data of a spec; None of data of somebody's own, whose licence nothing says."""
    kind, _, place = spec.partition(":")
    if kind in ("subset", "tags"):
        return of(place.partition(":")[2] if kind == "subset" else place)
    return LICENCES.get(kind)
