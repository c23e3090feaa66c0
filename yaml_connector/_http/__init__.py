"""An HTTP client for one connection of a spec: requests, hosts, credentials, responses, retries."""
