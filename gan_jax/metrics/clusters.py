"""How well classes that were found without labels match those that labels tell."""

import numpy as np
from jaxtyping import Int


def matched_error(clusters: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"]) -> float:
    """The share of examples in [0, 1] whose cluster is not that of their label, under the best one-to-one matching.

    InfoGAN's error of a categorical code as a classifier (Chen et al. 2016, arXiv:1606.03657, section 7.2), with the
    matching of clusters to labels that makes the fewest errors (Kuhn 1955). A cluster that is left over where there are
    more of them than labels matches none, and so does a label that is left over.

    Args:
      clusters: numbers from 0 `[N]`.
      labels: numbers from 0 `[N]`.
    """
    import scipy.optimize  # Not earlier: every command imports this module.

    counts = np.zeros((clusters.max() + 1, labels.max() + 1), np.int64)
    np.add.at(counts, (clusters, labels), 1)
    return float(1 - counts[scipy.optimize.linear_sum_assignment(counts, maximize=True)].sum() / len(labels))
