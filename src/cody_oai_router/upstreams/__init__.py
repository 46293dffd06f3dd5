"""One file for each endpoint of Sourcegraph: its path, its headers, its dialect, its abilities."""
