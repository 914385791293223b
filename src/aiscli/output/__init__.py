"""Everything that reaches the terminal: the only package here that prints or imports rich."""

from aiscli.output.base import Column, Format, Output, OutputOptions, RecordWriter

__all__ = ["Column", "Format", "Output", "OutputOptions", "RecordWriter"]
