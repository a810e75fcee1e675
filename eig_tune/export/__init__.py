"""Models outside of a search: bundles, their programs, and what they are used for."""

from eig_tune.export.bundle import open_bundle, read_bundle, write_bundle

__all__ = ["open_bundle", "read_bundle", "write_bundle"]
