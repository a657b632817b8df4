"""Encoders: tables and images to features."""
