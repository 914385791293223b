"""The engine: everything that touches a disk. It knows nothing of HTTP."""
