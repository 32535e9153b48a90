"""Boosted trees against scikit-learn's, on what can be told apart and on what can't."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from pointillist.diffusion import trees


def two_classes(rng, n, fault):
    """Draw n rows (n, 3) in two classes, of which one is wider in the first feature by `fault`."""
    labels = np.arange(n) % 2 == 1
    rows = rng.normal(size=(n, 3))
    rows[labels, 0] *= 1 + fault
    return rows, labels


def right(predicted, labels):
    return (predicted == labels).mean()


@pytest.mark.parametrize("fault", [0.3, 1.0])
def test_as_much_is_seen_as_by_scikit_learn(fault):
    rng = np.random.default_rng(0)
    (train, known), (rows, labels) = (two_classes(rng, 6000, fault) for _ in range(2))
    theirs = HistGradientBoostingClassifier(max_iter=30, early_stopping=False, random_state=0)
    theirs.fit(train, known)
    ours = right(trees.predict(train, known, rows), labels)
    assert ours > 0.52
    # Two classifiers that agree on most rows: their difference errs less than either.
    assert ours == pytest.approx(right(theirs.predict(rows), labels), abs=3 / 6000**0.5)


def test_what_is_a_matter_of_two_features_is_learnt():
    """Neither feature of an exclusive or says anything alone."""
    rng = np.random.default_rng(0)
    train, rows = rng.uniform(-1, 1, (2, 4000, 2))
    found = trees.predict(train, train.prod(1) > 0, rows)
    assert right(found, rows.prod(1) > 0) > 0.95


def test_a_feature_that_never_changes_is_no_hindrance():
    rng = np.random.default_rng(0)
    rows, labels = two_classes(rng, 500, 1.0)
    rows[:, 2] = 7.0
    assert right(trees.predict(rows, labels, rows), labels) > 0.6


@pytest.mark.parametrize("n", [5, 30])
def test_too_few_rows_to_cut_say_what_their_classes_share(n):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, 2))
    labels = np.arange(n) % 3 > 0
    assert trees.predict(rows, labels, rows).all()
