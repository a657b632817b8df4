"""Metrics: what is measured."""
