"""How a model is evaluated: metrics, the classifier that some of them need, and pictures."""
