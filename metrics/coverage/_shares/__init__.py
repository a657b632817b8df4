"""Shares of cells against real or declared shares."""
