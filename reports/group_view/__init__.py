"""Groups by questions, side by side."""
