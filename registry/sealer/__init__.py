"""The sealer: a process of its own that gives audit events their positions and signs checkpoints."""
