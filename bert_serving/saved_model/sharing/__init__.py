"""Model cards, and uploads to a model hub."""
