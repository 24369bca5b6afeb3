"""The budget as a policy: an update whose estimate is over `budget.monthlyUsd` is refused."""
