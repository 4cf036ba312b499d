"""Search for good settings: python -m experiments.study NAME --lr log:1e-5:1e-3 --storage FILE [options]."""

from experiments import door

if __name__ == "__main__":
    door("study")
