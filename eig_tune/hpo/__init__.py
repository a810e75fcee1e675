"""The search algorithm: proposals, successive halving, Pareto ranks. Without Ray, MLflow, rich or torch."""
