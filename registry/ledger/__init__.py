"""The proof of the log, apart from the service: the Merkle tree, signed checkpoints, and the verifier for auditors."""
