"""One file for each thing an upstream may lack: each turns a `Prompt` into one that the upstream can carry, and says so."""
