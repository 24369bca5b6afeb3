"""What a stack will cost: quantities from the program that `pulumi up` runs, prices from a dated catalog."""
