"""Sample from a run: python -m experiments.sample RUN --out FILE."""

from experiments import door

if __name__ == "__main__":
    door("sample")
