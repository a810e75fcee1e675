"""What is written about a search: MLflow runs, description, Optuna study, curves, plots, tables."""
