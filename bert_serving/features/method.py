"""The ways of turning features into points, for the help of a command, which needs nothing else."""

from enum import StrEnum


class Method(StrEnum):
    """How features become points."""

    AUTO = "auto"
    """UMAP where it is installed and there are enough rows, else PCA"""
    UMAP = "umap"
    """keeps neighbors close (McInnes, Healy and Melville 2018); distances between groups mean little"""
    PCA = "pca"
    """the two directions of greatest variance; linear and fast"""
