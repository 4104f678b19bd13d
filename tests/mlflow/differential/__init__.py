"""The same requests to a stock mlflow server and to the registry, and what the two answer.

`cases` holds the requests, as tables; `differences` says where we answer otherwise on purpose, and why; `requests` and
`comparing` send and compare. To add a case, add a line to a table in `cases`. If the answers differ and should, add an
entry to `differences`: anything else that differs fails, and so does an entry whose difference is gone.
"""
