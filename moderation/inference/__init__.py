"""Trained models on a worker: verified bundles, sessions with explicit providers and threads, batches."""
