"""What goes wrong in a metric by its user's or its author's doing."""

from __future__ import annotations


class MetricError(ValueError):
    """A metric was declared, named or configured wrongly; the message says how."""
