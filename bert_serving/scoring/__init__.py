"""Scoring of whole collections of texts: input files, shards, the model on a shard, output files, the job's records."""
