"""Tokens that this service makes: access tokens (signed) and refresh tokens (opaque)."""
