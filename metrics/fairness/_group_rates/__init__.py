"""Rates of models by group, their gaps, and what the release does to them."""
