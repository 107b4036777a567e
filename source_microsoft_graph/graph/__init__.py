"""What Graph's wire is like: requests, responses, batches, limits, refusals, and the client that knows them."""
