"""Two workers, forked from a process that has the application already."""

import os

bind = os.environ["BIND"]
workers = 2
worker_class = os.environ.get("WORKER_CLASS", "gthread")
threads = 1 if worker_class == "asgi" else 4
preload_app = True
graceful_timeout = 15
accesslog = None
