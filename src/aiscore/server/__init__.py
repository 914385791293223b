"""The server: AIStore's REST API over a node of this process."""
