"""Elasticsearch and OpenSearch as destinations."""
