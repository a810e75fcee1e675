"""The search: Optuna proposes, successive halving promotes, Ray runs, one ledger remembers."""
