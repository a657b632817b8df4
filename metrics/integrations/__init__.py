"""Doors to torchmetrics and to models of one's own."""
