"""Points in two dimensions and where they are dense."""

import importlib.util

import numpy as np
import pytest

from bert_serving.errors import InputError
from bert_serving.features.method import Method
from bert_serving.features.projection import DENSITY_BINS, FEWEST_UMAP_ROWS, densities, project

FEATURES = np.random.default_rng(0).normal(size=(60, 6)) * [9, 5, 1, 1, 1, 1]


def test_principal_components_are_those_of_the_singular_values():
    found = project(FEATURES, Method.PCA)
    centred = FEATURES - FEATURES.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    for column, direction in enumerate(directions[:2]):
        expected = centred @ direction
        expected = (expected - expected.min()) / np.ptp(expected)
        # The sign of a component means nothing.
        nearest = min((expected, 1 - expected), key=lambda values: abs(values - found.points[:, column]).max())
        np.testing.assert_allclose(found.points[:, column], nearest, atol=1e-5)
    assert found.explained == pytest.approx((sizes[:2] ** 2).sum() / (sizes**2).sum())
    assert found.method is Method.PCA


@pytest.mark.parametrize("features", [np.ones((5, 3)), FEATURES[:2], FEATURES.astype(np.float32)])
def test_points_lie_between_0_and_1_and_are_the_same_each_time(features):
    first, second = project(features, Method.PCA, seed=4), project(features, Method.PCA, seed=4)
    assert first.points.dtype == np.float32
    assert first.points.shape == (len(features), 2)
    assert np.isfinite(first.points).all()
    assert first.points.min() >= 0
    assert first.points.max() <= 1
    np.testing.assert_array_equal(first.points, second.points)


def test_without_umap_pca_is_used_and_asking_for_umap_is_refused(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "umap" else found(name))
    assert project(FEATURES).method is Method.PCA
    with pytest.raises(InputError, match=r"missing: umap; pip install 'bert-serving\[map\]'"):
        project(FEATURES, Method.UMAP)


@pytest.mark.parametrize(("method", "rows"), [(Method.PCA, 1), (Method.UMAP, FEWEST_UMAP_ROWS - 1)])
def test_too_few_rows_are_refused(method, rows):
    with pytest.raises(InputError, match=f"a map by {method} needs at least {rows + 1} rows, got {rows}; give more"):
        project(FEATURES[:rows], method)


def test_with_few_rows_the_method_is_pca():
    assert project(FEATURES[: FEWEST_UMAP_ROWS - 1]).method is Method.PCA


@pytest.mark.slow
@pytest.mark.parametrize("rows", [FEWEST_UMAP_ROWS, 90])
def test_umap_keeps_separate_groups_apart_and_is_reproducible(rows):
    pytest.importorskip("umap")
    groups = np.arange(rows) % 3
    features = np.random.default_rng(1).normal(size=(rows, 8)) * 0.3 + 5 * np.eye(8)[groups]
    found = project(features, seed=3)
    assert found.method is Method.UMAP
    assert found.explained is None
    np.testing.assert_array_equal(found.points, project(features, Method.UMAP, seed=3).points)
    if rows > FEWEST_UMAP_ROWS:
        distances = np.linalg.norm(found.points[:, None] - found.points[None], axis=-1)
        np.fill_diagonal(distances, np.inf)
        assert (groups[distances.argmin(axis=1)] == groups).all()


# === Density ===


def test_a_density_is_the_share_of_the_classes_rows_in_each_cell():
    points = np.asarray([[0.0, 0.0], [0.01, 0.0], [1.0, 1.0], [0.51, 0.26]])
    found = densities(points, np.asarray([0, 0, 0, 2]), 3)
    assert found.shape == (3, DENSITY_BINS, DENSITY_BINS)
    assert found[0, 0, 0] == pytest.approx(2 / 3)
    assert found[0, -1, -1] == pytest.approx(1 / 3)
    assert found[1].sum() == 0
    assert np.argwhere(found[2]).tolist() == [[int(0.51 * DENSITY_BINS), int(0.26 * DENSITY_BINS)]]


def test_densities_are_what_a_count_by_hand_gives():
    random = np.random.default_rng(2)
    points, classes = random.random((500, 2)), random.integers(0, 4, 500)
    found = densities(points, classes, 4)
    expected = np.zeros((4, DENSITY_BINS, DENSITY_BINS))
    for (x, y), number in zip(points, classes, strict=True):
        expected[number, int(x * DENSITY_BINS), int(y * DENSITY_BINS)] += 1 / (classes == number).sum()
    np.testing.assert_allclose(found, expected)
