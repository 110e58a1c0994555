"""The kernel's text formats, one module a file: parse(text) to a record, and format(record) back, byte for byte."""
