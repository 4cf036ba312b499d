"""Train an experiment: python -m experiments.run NAME [options]."""

from experiments import door

if __name__ == "__main__":
    door("run")
