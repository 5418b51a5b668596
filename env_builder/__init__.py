"""From a repo list to a pool of certified tasks: sources, environments, candidates, validation."""
