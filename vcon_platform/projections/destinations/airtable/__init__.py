"""Airtable as a destination."""
