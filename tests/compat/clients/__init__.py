"""Real clients, each as its users have it. They run in an environment of their own: see `make compat`."""
