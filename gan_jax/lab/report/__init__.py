"""Reports: runs and sweeps as one HTML file that asks for nothing else, and a verdict in words."""
