"""What a user takes home."""

from eig_tune.export.bundle import open_bundle, read_bundle, write_bundle

__all__ = ["open_bundle", "read_bundle", "write_bundle"]
