"""`make bench`: measures the service beside an MLflow server, a bare Flask route and pgbench, in one run.

What is measured stands in `questions.py`; what it is measured on, in `load/`; the last results, in RESULTS.md.
"""
