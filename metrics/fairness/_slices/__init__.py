"""Slices that nobody named: grid and search."""
