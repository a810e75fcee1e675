"""The search: Optuna proposes, successive halving stops, Ray runs, one ledger remembers."""
