"""Intervals, exact tests and variances whose coverage was simulated."""
