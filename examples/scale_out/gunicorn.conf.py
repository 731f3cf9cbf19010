"""Four workers on one host: `gunicorn -c gunicorn.conf.py service:app`."""

import os

bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WORKERS", "4"))
worker_class = "gthread"
threads = 8
# The application is imported once and forked: llmguard opens stores, threads and
# connections anew in each child.
preload_app = True
graceful_timeout = 10
accesslog = None
