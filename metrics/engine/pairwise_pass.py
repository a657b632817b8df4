"""One pass over all pairs of rows, for neighbour lists and kernel sums alike.

The upper triangle of tiles is visited once. Each tile is one matrix product (see
:mod:`counterproof.metrics.engine.tiles`), read in both directions by the shortlists of its rows and of its
columns and by the kernel's sums, and forgotten. Afterwards the exact float64 distances of the few
pairs on the shortlists decide who is on a list and in which order, so lists do not depend on
float32, tile size, threads or device.

Floor: ``n²/2`` pairs of ``2 (d + 2)`` operations, against ``2 n²`` for a pass per direction and
consumer. Memory: one float32 copy of the rows, plus the shortlists (8 bytes a pair, within the
budget) and a quarter of the budget for a tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.kernel_tiles import KernelSumQuery, KernelTileSums
from counterproof.metrics.engine.shortlist import Bounds, NeighbourQuery, Shortlist
from counterproof.metrics.engine.tiles import (
    LARGEST,
    Block,
    Nodes,
    Part,
    Products,
    block_side,
    make_blocks,
    matmul_precision,
)
from counterproof.metrics.sample import Floats, Rows

if TYPE_CHECKING:
    import torch


MEMORY = 256 * 2**20
SMALLEST_ON_DEVICE = 256
AT_ONCE = 4096  # rows whose lists are decided together
TIE = 1e-9  # distances equal to one part in 10⁹ are ties: sums of the same terms in another order


class TileSpace(Bounds, Protocol):
    """A distance among nodes: fast values by tile, and exact distances of pairs."""

    def tile(self, rows: Block, columns: Block) -> torch.Tensor:
        """``(b, c)`` values that order nodes almost right; good until the next call."""
        ...

    def exact(self, left: Rows, right: Rows) -> Floats:
        """Distances of pairs of nodes in float64; the right ones ascend."""
        ...


@dataclass(frozen=True, eq=False)
class Lists:
    """Neighbour lists of the nodes that a query asks for, nearest first.

    Attributes:
        query: Whose lists.
        start: ``(m + 1,)`` where the list of each node starts; empty for nodes not asked for.
        node: Nodes of the lists.
        distance: Their distances.
    """

    query: NeighbourQuery
    start: Rows
    node: Rows
    distance: Floats


@dataclass(frozen=True, eq=False)
class PairwiseResult:
    """What one pass found.

    Attributes:
        nodes: The distinct rows of each part.
        lists: Of each query; none at all where ties made them exceed the memory budget.
        sums: Per query, by part, ``(rows, c)`` sums of the kernel.
        remark: What a reader should know about how it was computed.
    """

    nodes: Nodes
    lists: tuple[Lists, ...]
    sums: tuple[dict[int, Floats], ...]
    remark: str = ""


def pairwise_pass(
    parts: Sequence[Part],
    *,
    lists: Sequence[NeighbourQuery] = (),
    sums: Sequence[KernelSumQuery] = (),
    memory: int = MEMORY,
    device: str = "cpu",
    space: Callable[[Nodes, str], TileSpace] | None = None,
    largest: int = LARGEST,
) -> PairwiseResult:
    """Visit all pairs of rows that some query asks for, once.

    Args:
        parts: The rows, in parts that play the same roles.
        lists: Neighbour lists to make.
        sums: Kernel sums to compute.
        memory: Budget in bytes for the tiles and the shortlists.
        device: Where the products run. Out of its memory: smaller tiles, then the CPU, said in the
            remark.
        space: Makes another distance among the nodes on a device, for lists alone; Euclidean by default.
        largest: Rows of a block on the CPU, so that a tile and its work space stay in the cache.

    Raises:
        ValueError: The features are not finite.
    """

    def euclidean(nodes: Nodes, device: str) -> TileSpace:
        return Products(nodes, device=device)

    nodes = Nodes.of(parts)
    side, remarks = block_side(nodes, memory, device=device, largest=largest), []
    while True:
        try:
            with matmul_precision("highest"):
                found = _passed(nodes, lists, sums, side, memory, device, space or euclidean)
            break
        except RuntimeError as error:
            if "out of memory" not in str(error) or device == "cpu":
                raise
            if side > SMALLEST_ON_DEVICE:
                side //= 2
            else:
                device, side = "cpu", block_side(nodes, memory, largest=largest)
            remarks = [f"{device} in smaller blocks" if device != "cpu" else "on the CPU"]
    remarks_said = [f"the device ran out of memory: neighbours were searched {remark}" for remark in remarks]
    return PairwiseResult(nodes, *found, remark="; ".join(remarks_said))


def _passed(
    nodes: Nodes,
    lists: Sequence[NeighbourQuery],
    sums: Sequence[KernelSumQuery],
    side: int,
    memory: int,
    device: str,
    make: Callable[[Nodes, str], TileSpace],
) -> tuple[tuple[Lists, ...], tuple[dict[int, Floats], ...]]:
    """The pass itself; without lists where they exceed the memory."""
    products = make(nodes, device)
    blocks = make_blocks(nodes, side)
    cubes = KernelTileSums(nodes, products, sums) if sums and isinstance(products, Products) else None
    part_of = nodes.part_of()
    short: list[Shortlist] = [Shortlist(block, lists, products, part_of) for block in blocks]
    for a, b in _in_order(blocks):
        one, other = blocks[a], blocks[b]
        listed = bool(short) and (short[a].wants(other.part) or short[b].wants(one.part))
        summed = cubes is not None and cubes.wants(one.part, other.part)
        if not listed and not summed:
            continue
        values = products.tile(one, other)
        if listed:
            if short[a].wants(other.part):
                short[a].add_tile(values, other)
            if a != b and short[b].wants(one.part):
                short[b].add_tile(values, one, transposed=True)
            if _exceed_memory(short, memory):
                short = []
                if cubes is None:
                    break
        if summed and cubes is not None:
            cubes.add_tile(values, one, other)
    made = _exact_lists(nodes, short, lists, products) if short else ()
    return made, tuple(cubes.finish()) if cubes is not None else ()


def _in_order(blocks: Sequence[Block]) -> Iterator[tuple[int, int]]:
    """Pairs of blocks: the diagonal, which gives every row first bounds, then pairs of one part, then the rest."""
    n = range(len(blocks))
    yield from ((a, a) for a in n)
    yield from ((a, b) for a in n for b in n if a < b and blocks[a].part == blocks[b].part)
    yield from ((a, b) for a in n for b in n if a < b and blocks[a].part != blocks[b].part)


def _exceed_memory(short: Sequence[Shortlist], memory: int) -> bool:
    """Whether the shortlists do not fit in memory, even when reduced."""
    if 8 * sum(each.held for each in short) <= memory:
        return False
    for each in short:
        each.reduce_pairs()
    return 8 * sum(each.held for each in short) > memory // 2


def _exact_lists(
    nodes: Nodes, short: Sequence[Shortlist], queries: Sequence[NeighbourQuery], space: TileSpace
) -> tuple[Lists, ...]:
    """Lists by exact distances."""
    part_of = nodes.part_of()
    count = np.zeros((len(queries), len(nodes)), dtype=np.intp)
    found: list[list[tuple[Rows, Floats]]] = [[] for _ in queries]
    for group in _adjacent_blocks(short):
        start = group[0].block.start
        row, node, within = _joined_pairs(group)
        gap = space.exact(row + start, node)
        for mine, at in enumerate(group[0].numbers):
            inside = np.flatnonzero(within[mine])
            counted = np.isin(part_of[node[inside]], list(queries[at].count_within))
            made = _trimmed(row[inside], node[inside], gap[inside], counted, queries[at].k)
            count[at, start : start + len(made[0])] = made[0]
            found[at].append(made[1:])
    return tuple(
        Lists(
            query,
            np.concatenate([[0], np.cumsum(count[at])]).astype(np.intp),
            np.concatenate([node for node, _ in found[at]]) if found[at] else np.empty(0, dtype=np.intp),
            np.concatenate([gap for _, gap in found[at]]) if found[at] else np.empty(0),
        )
        for at, query in enumerate(queries)
    )


def _adjacent_blocks(short: Sequence[Shortlist]) -> Iterator[Sequence[Shortlist]]:
    """Shortlists of blocks of one part that stand one after the other, some rows at once."""
    low = 0
    for high in range(1, len(short) + 1):
        one = short[low].block
        if high == len(short) or short[high].block.part != one.part or short[high].block.stop - one.start > AT_ONCE:
            yield short[low:high]
            low = high


def _joined_pairs(group: Sequence[Shortlist]) -> tuple[Rows, Rows, NDArray[np.bool_]]:
    """Their pairs: position of the row from the first block's start, node, and who can reach it; by node."""
    made = []
    for each in group:
        row, node, within = each.pairs()
        each.free()
        made.append((row + (each.block.start - group[0].block.start), node, within))
    node = np.concatenate([node for _, node, _ in made])
    order = np.argsort(node, kind="stable")
    rows, within = np.concatenate([row for row, _, _ in made]), np.concatenate([within for _, _, within in made], 1)
    return rows[order], node[order], within[:, order]


def _trimmed(i: Rows, j: Rows, gap: Floats, own: NDArray[np.bool_], k: int) -> tuple[Rows, Rows, Floats]:
    """Lists sorted by distance, cut after the ``k``-th of their own side and its ties; their lengths first."""
    order = np.argsort(gap, kind="stable")  # with ties in the order of j, as they came
    order = order[np.argsort(i[order].astype(np.uint16), kind="stable")]  # by radix: thrice as fast as a lexsort
    i, column, gap, own = i[order], j[order], gap[order], own[order]
    count = np.bincount(i)
    start = np.cumsum(count) - count
    total = np.cumsum(own)
    seen = total - np.repeat(total[start] - own[start], count)
    inside = own & (seen <= k)
    radius = np.empty(len(count))
    radius[i[inside]] = gap[inside]  # ascending, so the last to be written is the largest
    keep = gap <= np.repeat(radius * (1 + TIE), count)
    return np.bincount(i[keep], minlength=len(count)), column[keep], gap[keep]
