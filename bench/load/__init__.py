"""Fills databases with COPY: our registry with its audit log, chained as the triggers would have, and an MLflow one."""
