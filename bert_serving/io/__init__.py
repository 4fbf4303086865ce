"""What stands between this process and the rest of the machine: files, the cache, fresh processes, protobuf messages."""
