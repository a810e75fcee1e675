"""What is written about a search or a comparison: MLflow runs, description, Optuna study, curves, plots, tables."""
