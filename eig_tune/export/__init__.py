"""What a user takes home."""

from eig_tune.export.bundle import read_bundle, write_bundle

__all__ = ["read_bundle", "write_bundle"]
