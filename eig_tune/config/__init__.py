"""The YAML of a space: read strictly, checked as a whole, resolved."""
