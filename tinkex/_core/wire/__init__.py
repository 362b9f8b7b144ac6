"""Between the public types and the bytes on the wire: encode, chunk, decode, combine."""
