"""What metrics of two families or more have in common."""
