"""What the service counts of itself, right across its workers, for Prometheus."""
