"""The load generator for AIStore, for the embedded engine, and for S3 endpoints."""
