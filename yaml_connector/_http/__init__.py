"""HTTP: building requests, where they may go, sending them, reading answers, credentials, retries."""
