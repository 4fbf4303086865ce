"""Versioned SavedModels: signatures, serving graphs, writer, verification."""
