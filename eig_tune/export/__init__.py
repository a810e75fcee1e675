"""What a user takes home."""

from eig_tune.export.bundle import write_bundle

__all__ = ["write_bundle"]
