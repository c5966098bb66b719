"""Circles in a graph."""

from collections import deque
from itertools import pairwise

Graph = dict[str, set[str]]


def circles(graph: Graph) -> list[list[str]]:
    """Circles that share no edge, the shortest first, such that the graph without their edges has none. Each ends where it begins."""
    left = {node: set(targets) for node, targets in graph.items()}
    found = []
    while circle := shortest_circle(left):
        found.append(circle)
        for source, target in pairwise(circle):
            left[source].discard(target)
    return found


def shortest_circle(graph: Graph) -> list[str]:
    paths = [path for node in sorted(graph) if (path := path_back(graph, node))]
    return min(paths, key=len, default=[])


def path_back(graph: Graph, start: str) -> list[str]:
    """The shortest way from a node to itself; empty if there is none."""
    came_from: dict[str, str] = {}
    waiting = deque([start])
    while waiting:
        node = waiting.popleft()
        for target in sorted(graph.get(node, ())):
            if target == start:
                return [*way(came_from, start, node), start]
            if target not in came_from:
                came_from[target] = node
                waiting.append(target)
    return []


def way(came_from: dict[str, str], start: str, end: str) -> list[str]:
    steps = [end]
    while steps[-1] != start:
        steps.append(came_from[steps[-1]])
    return steps[::-1]
