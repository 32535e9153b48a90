r"""Gradient-boosted trees that tell two classes apart.

After Friedman 2001, *Ann. Stat.* 29, 1189, algorithm 5. A tree is grown level by level on features that
are cut into `BINS` bins of about as many rows each: every node takes the cut that tells the residuals
:math:`g = p - y` best apart,

.. math:: \max \frac{G_l^2}{n_l} + \frac{G_r^2}{n_r}, \quad G = \sum g,

and a leaf adds :math:`-\eta \sum g / \sum p (1 - p)` to the log odds of its rows, a Newton step. It is
written out here since a library of learners takes most of a second to import.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BINS = 128
"""Bins of each feature."""
_TREES, _DEPTH, _RATE = 30, 4, 0.1
_LEAST_ROWS = 20
_LEAST_CURVATURE = 1e-12


class Tree(NamedTuple):
    """A tree of `_DEPTH` levels."""

    features: list[np.ndarray]
    """Which feature each node of a level looks at, (2^level,)."""
    cuts: list[np.ndarray]
    """The last bin that goes left there, (2^level,)."""
    leaves: np.ndarray
    """What each leaf adds to the log odds, (2^depth,)."""

    def leaf(self, bins: np.ndarray) -> np.ndarray:
        """Return the leaf (n,) that rows with `bins` (d, n) come to."""
        node = np.zeros(bins.shape[1], int)
        for features, cuts in zip(self.features, self.cuts, strict=True):
            node = _next_node(node, bins, features, cuts)
        return node


def predict(train: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return which of `rows` (m, d) are taken for class 1, (m,) bool, by what `train` (n, d) says.

    `labels` (n,) bool are the classes of `train`; both are among them.
    """
    edges = np.quantile(train, np.linspace(0, 1, BINS + 1)[1:-1], axis=0)
    known, asked = _binned(train, edges), _binned(rows, edges)
    share = labels.mean()
    log_odds = np.full(len(train), np.log(share / (1 - share)))
    answers = np.full(len(rows), log_odds[0])
    for _ in range(_TREES):
        p = 1 / (1 + np.exp(-log_odds))
        tree, leaf = _grow(known, p - labels, p * (1 - p))
        log_odds += tree.leaves[leaf]
        answers += tree.leaves[tree.leaf(asked)]
    return answers > 0


def _binned(rows: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the bins (d, n) of rows (n, d)."""
    return np.stack([np.searchsorted(e, column) for e, column in zip(edges.T, rows.T, strict=True)])


def _grow(bins: np.ndarray, slopes: np.ndarray, curvatures: np.ndarray) -> tuple[Tree, np.ndarray]:
    """Return a tree, and the leaf (n,) of each of the rows that it was grown on."""
    node = np.zeros(bins.shape[1], int)
    features, cuts = [], []
    for level in range(_DEPTH):
        feature, cut = _best_cuts(node, bins, slopes, 2**level)
        features.append(feature)
        cuts.append(cut)
        node = _next_node(node, bins, feature, cut)
    slope, curvature = (np.bincount(node, of, 2**_DEPTH) for of in (slopes, curvatures))
    return Tree(features, cuts, -_RATE * slope / np.maximum(curvature, _LEAST_CURVATURE)), node


def _best_cuts(
    node: np.ndarray, bins: np.ndarray, slopes: np.ndarray, nodes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the feature and the last bin on the left of each node's best cut, (nodes,) each."""
    d = len(bins)
    place = (bins + BINS * np.arange(d)[:, None] + BINS * d * node).ravel()
    size, shape = nodes * d * BINS, (nodes, d, BINS)
    # Rows and sums of the residuals left of each cut.
    rows = np.bincount(place, minlength=size).reshape(shape).cumsum(-1)
    sums = np.bincount(place, np.tile(slopes, d), size).reshape(shape).cumsum(-1)
    beyond, rest = rows[..., -1:] - rows, sums[..., -1:] - sums
    allowed = (rows >= _LEAST_ROWS) & (beyond >= _LEAST_ROWS)
    gain = sums**2 / np.maximum(rows, 1) + rest**2 / np.maximum(beyond, 1)
    best = np.where(allowed, gain, -1.0).reshape(nodes, -1).argmax(-1)
    feature, cut = np.divmod(best, BINS)
    # All rows of a node that can't be cut go left.
    possible = allowed.any((1, 2))
    return feature, np.where(possible, cut, BINS)


def _next_node(
    node: np.ndarray, bins: np.ndarray, feature: np.ndarray, cut: np.ndarray
) -> np.ndarray:
    """Return the nodes (n,) of the next level to which rows with `bins` (d, n) go."""
    return 2 * node + (bins[feature[node], np.arange(len(node))] > cut[node])
