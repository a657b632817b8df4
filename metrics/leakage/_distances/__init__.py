"""Distances of the release to known records, and their null."""
