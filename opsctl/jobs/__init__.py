"""Jobs of the service (`service.jobs.*`), started where a stack runs: as a task, as a pod, or as a process here."""
