"""One wire language each: the half that faces clients, the half that faces Sourcegraph, or both. No dialect knows another."""
