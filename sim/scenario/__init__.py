"""The input language: schema, loading, checks, errors."""
