"""Bugs planted in healthy code: small edits of one function, made on its syntax tree."""
