"""Bad inputs of every format, made from good ones by seed, and what the readers make of them."""
