"""How many independent rows there are where several share their nearest training record."""

from __future__ import annotations

from counterproof.metrics.leakage._distances.known_neighbours import LEAST, Proximity
from counterproof.metrics.sample import Rows, Sample
from counterproof.metrics.statistics.variance import effective_sample_size


def place_of(near: Proximity, index: Rows) -> Rows:
    """``(n,)`` place of each row that is asked: the source of its nearest training record.

    Args:
        near: The lists.
        index: ``(n,)`` position in the pool of that record.
    """
    return near.pool.units[index]


def source_of(sample: Sample) -> Rows:
    """``(n,)`` source of each row: without clusters, the row itself."""
    clusters = sample.corpus.clusters
    return sample.rows if clusters is None else clusters[sample.rows]


def too_crowded(place: Rows, what: str, means: int = 1) -> str:
    """Why nothing can be told of a release that repeats itself, if it does.

    Below 20 places, and one more for each further mean that is taken, intervals held 76-93 % of the
    time where 95 was asked.
    """
    count, least = effective_sample_size(place), LEAST + means - 1
    if count >= least:
        return ""
    told = f"the {len(place)} release rows stand at {count:.3g} places, by their nearest training record"
    return f"{told}, and {what} needs {least}: what repeats itself tells no more"
