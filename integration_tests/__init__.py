"""Tests against a whole Microsoft 365 tenant, simulated or real."""
