"""Moments, the Fréchet distance without bias, and its interval."""
