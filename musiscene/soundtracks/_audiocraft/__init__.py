"""What the `audiocraft` backend is made of: the package runs in an environment and a process of its own."""
