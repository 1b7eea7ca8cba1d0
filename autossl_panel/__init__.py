"""AutoSSL Panel: a free, valid certificate on every site of a hosting server."""
