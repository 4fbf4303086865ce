"""The web page of a model server."""
