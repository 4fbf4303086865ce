"""Files of pretrained encoders from hubs, mirrors, archives and the caches of other libraries."""
