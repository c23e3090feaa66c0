"""One call of the language: a request, or steps one after the other (section 6)."""
