"""Gates before a publication, version labels, and rollouts on running servers."""
