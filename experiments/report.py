"""Show runs or a sweep as one HTML file: python -m experiments.report RUN|SWEEP [RUN...] [--out report.html]."""

from experiments import door

if __name__ == "__main__":
    door("report")
