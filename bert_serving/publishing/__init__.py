"""From a verified export to servers: publishing, gates, labels, rollouts, manifests for Kubernetes."""
