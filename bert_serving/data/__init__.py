"""Labeled text: files and folders to tables, splits, audit, batches."""
