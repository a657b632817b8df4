"""Accuracy under the worst and under a stated population."""
