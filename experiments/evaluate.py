"""Measure a run's samples: python -m experiments.evaluate RUN [options]."""

from experiments import door

if __name__ == "__main__":
    door("evaluate")
