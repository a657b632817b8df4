"""Precision, recall, density, coverage and their relatives, from one set of neighbour lists."""
