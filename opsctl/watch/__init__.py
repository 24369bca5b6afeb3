"""A live view of what a service says of itself on /metrics."""
