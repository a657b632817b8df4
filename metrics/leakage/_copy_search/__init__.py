"""Exact and near copies: matching, distances, hashes, augmented pixels."""
