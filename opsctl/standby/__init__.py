"""A stack at rest: everything that can be scaled to nothing is, and comes back as it was."""
