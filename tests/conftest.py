"""A strict session: eight virtual CPU devices, no silent broadcasting, warnings are errors (see pyproject.toml)."""

import os
import tempfile

# Read once, when JAX starts: they must stand before anything imports it.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8".strip()
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Runs of one recipe share their compiled program, and nothing is left in the user's cache.
_cache = tempfile.TemporaryDirectory(prefix="gan_jax_tests_")
os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache.name
