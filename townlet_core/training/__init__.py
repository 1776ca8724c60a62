"""Training runs: where batches come from, when to update, what to tell, what to keep."""
