"""Exact neighbours, kernel sums and learners, shared by all metrics."""
