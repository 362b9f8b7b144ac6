"""The machinery behind the clients: event loop, HTTP, retries, polling, submission, sampling."""
