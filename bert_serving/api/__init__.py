"""The Python interface: build or train a classifier, export it, serve it, ask it, roll it out."""
