"""The other side of `experiments.inception_check`: torch-fidelity's Inception with random weights.

`python experiments/inception_peer.py DIR` reads sets of images and two sets of features in DIR/asked.npz, and writes
weights in both of PyTorch's formats, and into DIR/found.npz the resized images, the network's features, and the
distance of the two sets. It imports nothing of this project, so that PyTorch may be in an environment of its own.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

_FEATURES = ("64", "192", "768", "2048")


class _Random(FeatureExtractorInceptionV3):
    """The network, whose weights are drawn where it would load them."""

    def load_state_dict(self, *_: Any, **__: Any) -> None:  # type: ignore[override]
        """By He's variance, and with running statistics that are not the usual zeros and ones."""
        generator = torch.Generator().manual_seed(0)
        for name, value in self.state_dict().items():
            if value.ndim == 4:
                value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
            elif name.endswith(("running_var", "bn.weight")):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.is_floating_point():
                value.normal_(0, 0.1, generator=generator)


def main(directory: Path) -> None:
    """Reads, computes, writes."""
    torch.save({}, directory / "none.pth")
    with torch.no_grad():
        net = _Random("inception", list(_FEATURES), feature_extractor_weights_path=str(directory / "none.pth"))
    torch.save(net.state_dict(), directory / "weights.pth")
    torch.save(net.state_dict(), directory / "weights_old.pth", _use_new_zipfile_serialization=False)
    found: dict[str, Any] = {}
    with np.load(directory / "asked.npz") as asked:
        for name in asked:
            if not name.startswith("images"):
                continue
            x = torch.from_numpy(asked[name].transpose(0, 3, 1, 2).copy()).expand(-1, 3, -1, -1).contiguous()
            resized = interpolate_bilinear_2d_like_tensorflow1x(x.float(), size=(299, 299), align_corners=False)
            found[f"{name}/resized"] = resized.numpy().transpose(0, 2, 3, 1)
            for key, value in zip(_FEATURES, net(x), strict=True):
                found[f"{name}/{key}"] = value.numpy()
        sets = [fid_features_to_statistics(torch.from_numpy(asked[name])) for name in ("real", "fake")]
    found["distance"] = fid_statistics_to_metric(*sets, verbose=False)["frechet_inception_distance"]
    found["versions"] = f"torch {torch.__version__}"
    np.savez(directory / "found.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
