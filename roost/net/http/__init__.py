"""HTTP/1.1 messages, without I/O: the one place that uses h11, for our client and for servers of ours."""
