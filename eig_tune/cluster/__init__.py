"""Ray: the cluster, its storage, and trials as Ray trainables."""
