"""What a person sees while a command works, and results as tables."""
