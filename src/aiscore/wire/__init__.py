"""AIStore's wire format: names, codecs and messages; nothing here opens a connection or knows the store."""
