"""Labelled images: reading, checking, augmenting, loading."""
