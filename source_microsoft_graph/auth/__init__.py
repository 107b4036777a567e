"""How the connector signs in: one class for each kind of credentials, one token for all requests."""
