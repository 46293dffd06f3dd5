"""The shell: sockets, loop, clock and log around the core; nothing is decided here."""
