"""Hand a trained generator on: python -m experiments.export RUN --out DIR."""

from experiments import door

if __name__ == "__main__":
    door("export")
