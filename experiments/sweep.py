"""Train settings x seeds as one program: python -m experiments.sweep NAME --lr 1e-5,5e-5 --seeds 8 [options]."""

from experiments import door

if __name__ == "__main__":
    door("sweep")
