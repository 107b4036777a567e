"""What the user configures: one form, one tenant, one cloud."""
