"""Membership attacks and how they are evaluated."""
