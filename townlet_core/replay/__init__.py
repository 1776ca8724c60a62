"""Replay data: samples on disk and in memory, manifests, metrics, datasets and batches. Numpy only."""
