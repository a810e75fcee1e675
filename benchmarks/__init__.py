"""Benchmarks: each figure of the README, re-made by one command."""
