"""The program's version, as installed."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("braggscope")
except PackageNotFoundError:  # run from a folder that was never installed
    VERSION = "unknown"
