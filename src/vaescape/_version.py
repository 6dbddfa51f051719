"""The version, for parts that may not import the package above them."""

__version__ = "0.1.0"
