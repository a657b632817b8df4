"""Maximal uncovered patterns: search, evidence, remedy."""
