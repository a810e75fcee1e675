"""The command line: parse, call, print, and nothing else. Heavy imports happen inside the commands."""

from eig_tune.cli.app import main

__all__ = ["main"]
