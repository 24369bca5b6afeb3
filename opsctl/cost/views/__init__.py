"""What can be asked of a stack's cost; one file per question, each ends in a sheet."""
