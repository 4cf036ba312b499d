"""The exact 1-Wasserstein distance of two samples of equally many points: the cost of the best assignment."""

import atexit
import concurrent.futures
import functools
import multiprocessing

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from gan_jax.lab import devices

Sample = Float[np.ndarray, "n *shape"]


def costs(x: Sample, y: Sample) -> Float[np.ndarray, "n n"]:
    """Euclidean distances of all points of x `[N, ...]` to all of y `[N, ...]`, whose axes are flattened."""
    flat = [np.asarray(sample, np.float64).reshape(len(sample), -1) for sample in (x, y)]
    return cdist(*flat)


def assigned(cost: Float[np.ndarray, "n n"]) -> float:
    """The mean cost of the best one-to-one assignment (Kuhn 1955): W_1 of the samples whose costs these are.

    Between N points and N others an optimal plan is an assignment (Birkhoff 1946), so this is exact.
    """
    return float(cost[linear_sum_assignment(cost)].mean())


def exact(x: Sample, y: Sample) -> float:
    """The exact W_1 of x `[N, ...]` and y `[N, ...]` under the Euclidean distance."""
    return assigned(costs(x, y))


@functools.cache
def pool() -> concurrent.futures.Executor:
    """Processes for assignments, which hold Python's lock and take time with the cube of N."""
    context = multiprocessing.get_context("spawn")  # Forks of a process that runs JAX may hang.
    processes = concurrent.futures.ProcessPoolExecutor(min(devices.cores(), 8), mp_context=context)
    atexit.register(processes.shutdown)  # Left to the interpreter's end, it complains there.
    return processes
