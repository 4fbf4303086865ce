"""From a decoded request and a loaded version to an answer, whatever the protocol."""
