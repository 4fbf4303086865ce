"""Projection of features to two dimensions: UMAP where it is installed, else principal components."""

# umap and scikit-learn are imported where they are needed: they take seconds.
# ruff: noqa: PLC0415

import importlib.util
import warnings
from dataclasses import dataclass

import numpy as np

from bert_serving.errors import InputError
from bert_serving.extras import require
from bert_serving.features.method import Method
from bert_serving.observer import Observer

DENSITY_BINS = 40
"""in each direction of a density"""
UMAP_NEIGHBORS = 15
FEWEST_UMAP_ROWS = 10


@dataclass(frozen=True)
class Projection:
    """Rows as points.

    Attributes:
        points: float32 [N, 2], both columns from 0 to 1.
        method: UMAP or PCA.
        explained: share of the features' variance that the points keep; None for UMAP, which does not define it.
    """

    points: np.ndarray
    method: Method
    explained: float | None


def project(
    features: np.ndarray, method: Method = Method.AUTO, *, seed: int = 0, observer: Observer | None = None
) -> Projection:
    """Projects features, float [N, H], to two dimensions; the same seed gives the same points.

    Raises:
        InputError: UMAP is requested and not installed, or there are too few rows.
    """
    observer = observer or Observer()
    if method is Method.AUTO:
        installed = importlib.util.find_spec("umap") is not None
        method = Method.UMAP if installed and len(features) >= FEWEST_UMAP_ROWS else Method.PCA
    fewest = FEWEST_UMAP_ROWS if method is Method.UMAP else 2
    if len(features) < fewest:
        raise InputError(f"a map by {method} needs at least {fewest} rows, got {len(features)}; give more")
    if method is Method.UMAP:
        require("maps by UMAP", ("umap",), "map")
    with observer.stage(f"Projecting {len(features):,} rows by {method.upper()}"):
        points, explained = (_umap if method is Method.UMAP else _pca)(features, seed)
    lowest, span = points.min(axis=0), np.ptp(points, axis=0)
    return Projection(((points - lowest) / np.where(span > 0, span, 1)).astype(np.float32), method, explained)


def densities(points: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """The density of each class: its share of rows in each cell, float [count, `DENSITY_BINS`, `DENSITY_BINS`].

    Args:
        points: [N, 2], from 0 to 1.
        classes: int [N], from 0 to `count` - 1.
        count: number of classes.

    Returns:
        Cells by class, column (x) and row (y, from below); each class adds up to 1, one without rows to 0.
    """
    grids = []
    for number in range(count):
        x, y = points[classes == number].T
        grids.append(np.histogram2d(x, y, bins=DENSITY_BINS, range=[[0.0, 1.0], [0.0, 1.0]])[0])
    return np.stack([grid / max(grid.sum(), 1) for grid in grids])


def _umap(features: np.ndarray, seed: int) -> tuple[np.ndarray, None]:
    import umap

    neighbors = min(UMAP_NEIGHBORS, len(features) - 1)
    reducer = umap.UMAP(n_neighbors=neighbors, metric="cosine", random_state=seed, n_jobs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of graphs in several parts, which real texts often give
        return np.asarray(reducer.fit_transform(features)), None


def _pca(features: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    from sklearn.decomposition import PCA

    pca = PCA(2, random_state=seed)
    with np.errstate(invalid="ignore"):  # features that are all the same have no variance to explain
        points = pca.fit_transform(features)
    return points, float(np.nan_to_num(pca.explained_variance_ratio_.sum()))
