"""What the commands do: search, confirm, compare, train."""
