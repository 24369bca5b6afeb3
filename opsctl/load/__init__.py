"""An open-model load driver for the service: requests start when a schedule says so, not when an earlier one has ended.

It imports nothing of the service, and drives this machine only unless another host is named twice.
"""
