"""Pretrained encoders: catalog, sources, conversion, loading."""
