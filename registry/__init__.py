"""A model registry service. Importing this package imports nothing else: the client must not need Flask."""

__version__ = "0.1.0"
