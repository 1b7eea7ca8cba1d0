"""The pictures of the documents, taken of a server that the panel works on for real: `make screenshots`."""
