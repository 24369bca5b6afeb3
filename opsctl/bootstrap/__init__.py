"""A new stack's way through its two phases, step by step, timed; gone on from where it stopped."""
