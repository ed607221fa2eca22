"""Logos: drawn scenes, training of the detector and of the embedding, measuring, export."""
