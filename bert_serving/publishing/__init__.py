"""From a verified export to servers: publication, gates, rollouts, Kubernetes."""
