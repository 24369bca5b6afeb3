"""Edge hosts that are reached over SSH: what is carried there, and how it is kept."""
